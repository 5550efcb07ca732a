package main

import (
	"testing"

	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/provider/providertest"
)

func TestTheSuitesRunOutside(t *testing.T) {
	providertest.Target(t, func(*testing.T) providertest.TargetFixture {
		target := memory.NewTarget("app", memory.Options{})
		return providertest.TargetFixture{Target: target}
	})
}

func TestAnAWSForTests(t *testing.T) {
	cloud, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cloud.Close()
}
