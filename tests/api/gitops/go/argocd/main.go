// Asks Argo CD's own code about resources: their health, and what an action makes of them. JSON in, JSON out.
//
// stdin: {"health": "<lua>", "actions": "<the value in argocd-cm>", "resources": [<object>, ...]}
// stdout: [{"status": "Healthy", "message": "...", "offered": ["retrain"], "retrained": <object>}, ...], in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	appv1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const kind = "trainandserve.io/TrainAndServe"

type input struct {
	Health    string                      `json:"health"`
	Actions   string                      `json:"actions"`
	Resources []unstructured.Unstructured `json:"resources"`
}

type answer struct {
	Status    string         `json:"status"`
	Message   string         `json:"message"`
	Offered   []string       `json:"offered"`
	Retrained map[string]any `json:"retrained"`
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
	overrides := map[string]appv1.ResourceOverride{kind: {HealthLua: given.Health, Actions: given.Actions}}
	answers := []answer{}
	for i := range given.Resources {
		found, err := ask(overrides, &given.Resources[i])
		if err != nil {
			return fmt.Errorf("resource %d: %w", i, err)
		}
		answers = append(answers, *found)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func ask(overrides map[string]appv1.ResourceOverride, resource *unstructured.Unstructured) (*answer, error) {
	found := &answer{Offered: []string{}}
	health, err := lua.ResourceHealthOverrides(overrides).GetResourceHealth(resource)
	if err != nil {
		return nil, err
	}
	if health != nil {
		found.Status, found.Message = string(health.Status), health.Message
	}
	vm := lua.VM{ResourceOverrides: overrides}
	discovery, err := vm.GetResourceActionDiscovery(resource)
	if err != nil {
		return nil, err
	}
	actions, err := vm.ExecuteResourceActionDiscovery(resource, discovery)
	if err != nil {
		return nil, err
	}
	for _, action := range actions {
		if !action.Disabled {
			found.Offered = append(found.Offered, action.Name)
		}
	}
	retrain, err := vm.GetResourceAction(resource, "retrain")
	if err != nil {
		return nil, err
	}
	changed, err := vm.ExecuteResourceAction(resource, retrain.ActionLua, nil)
	if err != nil {
		return nil, err
	}
	for _, one := range changed {
		found.Retrained = one.UnstructuredObj.Object
	}
	return found, nil
}
