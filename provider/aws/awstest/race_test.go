package awstest_test

import (
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// race makes the same call n times concurrently and counts the answers by code.
func race(n int, call func() error) map[string]int {
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		counts = map[string]int{}
	)
	for range n {
		all.Go(func() {
			answer := code(call())
			mu.Lock()
			defer mu.Unlock()
			counts[answer]++
		})
	}
	all.Wait()
	return counts
}

func TestOfManyRacersTheLimitLetsTwoThrough(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateUser("app")
	root := asRoot(s)
	got := race(16, func() error {
		_, err := root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("app")})
		return err
	})
	if diff := cmp.Diff(map[string]int{"": 2, "LimitExceeded": 14}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(s.Calls()); n != 16 {
		t.Errorf("%d calls on record, want 16", n)
	}
}

func TestOfManyRacersOneMovesTheLabel(t *testing.T) {
	s := start(t, awstest.Options{})
	v := newVault(t, s, "prod/app")
	first := s.Labels(v.id)["AWSCURRENT"]
	got := race(16, func() error {
		id := uuid.NewString()
		if err := v.put(id, id, id); err != nil { // each version has its own label
			return err
		}
		return v.move("AWSCURRENT", first, id)
	})
	if diff := cmp.Diff(map[string]int{"": 1, "InvalidParameterException": 15}, got); diff != "" {
		t.Error(diff)
	}
	if now := s.Labels(v.id); now["AWSPREVIOUS"] != first {
		t.Errorf("labels %v, want AWSPREVIOUS on %s", now, first)
	}
}
