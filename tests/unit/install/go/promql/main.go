// Reads expressions as Prometheus does: a JSON list in, a list of what is wrong with each (empty: nothing) out.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	wrong := []string{}
	for _, expression := range expressions {
		said := ""
		if _, err := parser.ParseExpr(expression); err != nil {
			said = err.Error()
		}
		wrong = append(wrong, said)
	}
	if err := json.NewEncoder(os.Stdout).Encode(wrong); err != nil {
		os.Exit(1)
	}
}
