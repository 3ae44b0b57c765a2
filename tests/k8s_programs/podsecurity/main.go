// Asks Kubernetes' own Pod Security admission about pods: a list of {name, level, spec} in JSON on standard input,
// a list of {name, allowed, reason} on standard output.
package main

import (
	"encoding/json"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type pod struct {
	Name  string         `json:"name"`
	Level api.Level      `json:"level"`
	Spec  corev1.PodSpec `json:"spec"`
}

type verdict struct {
	Name    string `json:"name"`
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
}

func main() {
	var pods []pod
	if err := json.NewDecoder(os.Stdin).Decode(&pods); err != nil {
		log.Fatalf("standard input is no list of pods: %v", err)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		log.Fatal(err)
	}
	verdicts := make([]verdict, 0, len(pods))
	for _, each := range pods {
		asked := api.LevelVersion{Level: each.Level, Version: api.LatestVersion()}
		found := policy.AggregateCheckResults(evaluator.EvaluatePod(asked, &metav1.ObjectMeta{}, &each.Spec))
		verdicts = append(verdicts, verdict{each.Name, found.Allowed, found.ForbiddenDetail()})
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		log.Fatal(err)
	}
}
