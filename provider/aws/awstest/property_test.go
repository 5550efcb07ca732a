package awstest_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// TestLabelsStaySoundWhateverIsCalled makes random calls on one secret and,
// after each, checks AWS's guarantees about labels.
func TestLabelsStaySoundWhateverIsCalled(t *testing.T) {
	s := start(t, awstest.Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		v := newVault(t, s, fmt.Sprint("secret-", n))
		ids := []string{s.Labels(v.id)["AWSCURRENT"]}
		label := rapid.SampledFrom([]string{"AWSCURRENT", "AWSPREVIOUS", "AWSPENDING", "mine"})
		for range rapid.IntRange(1, 12).Draw(rt, "calls") {
			before := s.Labels(v.id)
			var failed error
			l := label.Draw(rt, "label")
			if rapid.Bool().Draw(rt, "put") {
				id := uuid.NewString()
				ids = append(ids, id)
				failed = v.put(id, id, l)
			} else {
				from := rapid.SampledFrom(append(ids, "")).Draw(rt, "from")
				to := rapid.SampledFrom(append(ids, "")).Draw(rt, "to")
				failed = v.move(l, from, to)
				if holder := before[l]; failed == nil && holder != "" && holder != to && holder != from {
					rt.Fatalf("%s moved from %s though the call named %q", l, holder, from)
				}
			}
			after := s.Labels(v.id)
			checkLabels(rt, before, after, failed)
		}
	})
}

func checkLabels(rt *rapid.T, before, after map[string]string, failed error) {
	if failed != nil {
		if !maps.Equal(before, after) {
			rt.Fatalf("a call that failed with %s changed %v to %v", code(failed), before, after)
		}
		return
	}
	if after["AWSCURRENT"] == "" {
		rt.Fatalf("AWSCURRENT is gone: %v", after)
	}
	if was := before["AWSCURRENT"]; was != after["AWSCURRENT"] && after["AWSPREVIOUS"] != was {
		rt.Fatalf("AWSCURRENT was taken from %s and AWSPREVIOUS is on %s", was, after["AWSPREVIOUS"])
	}
}

// TestAUserNeverHasMoreThanTwoKeys also checks that a key is valid exactly
// while it exists and is active.
func TestAUserNeverHasMoreThanTwoKeys(t *testing.T) {
	s := start(t, awstest.Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		user := fmt.Sprint("user-", n)
		s.CreateUser(user)
		secrets := map[string]string{}
		for range rapid.IntRange(1, 10).Draw(rt, "calls") {
			had := len(s.Keys(user))
			id, secret, err := s.CreateAccessKey(user)
			if (err == nil) != (had < 2) {
				rt.Fatalf("with %d keys: %v", had, err)
			}
			if err == nil {
				secrets[id] = secret
			}
			for id, secret := range secrets {
				active := slices.ContainsFunc(s.Keys(user), func(k awstest.Key) bool { return k.ID == id && k.Status == "Active" })
				if s.Valid(id, secret) != active {
					rt.Fatalf("key %s: valid %v, active %v", id, !active, active)
				}
			}
			if key := s.Keys(user)[0]; rapid.Bool().Draw(rt, "delete") {
				deleteKey(t, s, user, key.ID)
			} else {
				deactivate(t, s, user, key.ID)
			}
		}
	})
}

func deleteKey(t *testing.T, s *awstest.Server, user, id string) {
	t.Helper()
	_, err := asRoot(s).iam.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: &user, AccessKeyId: &id})
	wantCode(t, err, "")
}

func deactivate(t *testing.T, s *awstest.Server, user, id string) {
	t.Helper()
	_, err := asRoot(s).iam.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: &user, AccessKeyId: &id, Status: iamtypes.StatusTypeInactive})
	wantCode(t, err, "")
}
