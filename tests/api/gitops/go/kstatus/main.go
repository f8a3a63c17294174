// Asks kstatus, and Flux's own evaluation of healthCheckExprs, for the status of resources: JSON in, JSON out.
//
// stdin: {"expressions": {"current": "<CEL>", "inProgress": "<CEL>", "failed": "<CEL>"}, "resources": [<object>, ...]}
// stdout: [{"kstatus": "Current", "flux": "Current", "expressions": "Current"}, ...], in the same order: by the library
// sigs.k8s.io/cli-utils, by Flux's fork of it, and by the expressions as Flux evaluates them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	fluxstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type input struct {
	Expressions kustomize.HealthCheckExpressions `json:"expressions"`
	Resources   []unstructured.Unstructured      `json:"resources"`
}

type answer struct {
	Kstatus     string `json:"kstatus"`
	Flux        string `json:"flux"`
	Expressions string `json:"expressions"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	evaluator, err := cel.NewStatusEvaluator(&given.Expressions)
	if err != nil {
		return err
	}
	answers := []answer{}
	for i := range given.Resources {
		resource := &given.Resources[i]
		plain, err := status.Compute(resource)
		if err != nil {
			return fmt.Errorf("resource %d: kstatus: %w", i, err)
		}
		flux, err := fluxstatus.Compute(resource)
		if err != nil {
			return fmt.Errorf("resource %d: flux's kstatus: %w", i, err)
		}
		expressions := status.UnknownStatus // what Flux's reader makes of an error, and waits on
		if evaluated, err := evaluator.Evaluate(context.Background(), resource); err == nil {
			expressions = status.Status(evaluated.Status)
		}
		answers = append(answers, answer{string(plain.Status), string(flux.Status), string(expressions)})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
