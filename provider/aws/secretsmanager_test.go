package aws

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// put stores a version under AWSPENDING or ends the test.
func put(t *testing.T, s *secretStore, c rota.Credential) string {
	t.Helper()
	id := rota.NewVersionID()
	if err := s.Put(t.Context(), rota.PutRequest{Version: id, Credential: c, Labels: []rota.Label{rota.LabelPending}}); err != nil {
		t.Fatal(err)
	}
	return id
}

func move(t *testing.T, s *secretStore, l rota.Label, from, to string) {
	t.Helper()
	if err := s.Move(t.Context(), rota.MoveRequest{Label: l, From: from, To: to}); err != nil {
		t.Fatal(err)
	}
}

// labels are the labels as Rota sees them.
func labels(t *testing.T, s *secretStore) map[rota.Label]string {
	t.Helper()
	contents, err := s.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[rota.Label]string{}
	for _, v := range contents.Versions {
		for _, l := range v.Labels {
			got[l] = v.ID
		}
	}
	return got
}

func TestRotationKeepsTheOtherFieldsOfTheSecret(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		s := e.store(fields(t, map[string]string{"access-id": rota.FieldAccessKeyID, "secret-key": rota.FieldSecretAccessKey}))
		first := e.seed(t, s, `{"bucket": "b", "access-id": "AKIAOLD", "secret-key": "old", "port": 443.0}`)

		adopted, err := s.Get(t.Context(), rota.GetRequest{Version: first})
		if err != nil {
			t.Fatal(err)
		}
		if want := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIAOLD", rota.FieldSecretAccessKey: "old"}); !adopted.Equal(want) {
			t.Errorf("the fields read are %v", adopted.Names())
		}
		second := put(t, s, key(2))
		if got := e.text(t, s, rota.LabelCurrent); !strings.Contains(got, "AKIAOLD") {
			t.Errorf("put has promoted: %s", got)
		}
		move(t, s, rota.LabelCurrent, first, second)
		move(t, s, rota.LabelPending, second, "")
		want := `{"bucket": "b", "access-id": "` + key(2).Field(rota.FieldAccessKeyID) + `", "secret-key": "` + key(2).Field(rota.FieldSecretAccessKey) + `", "port": 443.0}`
		if got := e.text(t, s, rota.LabelCurrent); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if diff := cmp.Diff(map[rota.Label]string{rota.LabelCurrent: second, rota.LabelPrevious: first}, labels(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFirstCredentialIsNotCurrentUntilItIsPromoted(t *testing.T) {
	secrets := map[string]func(*testing.T, *env, *secretStore){
		"the secret does not exist": func(*testing.T, *env, *secretStore) {},
		"the secret exists without a version": func(t *testing.T, e *env, s *secretStore) {
			must(t)(e.values.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &s.cfg.Name}))
		},
	}
	onEach(t, func(t *testing.T, e *env) {
		for name, prepare := range secrets {
			t.Run(name, func(t *testing.T) {
				s := e.store(rota.FieldMap{})
				prepare(t, e, s)
				if got := labels(t, s); len(got) != 0 {
					t.Errorf("an empty secret has labels: %v", got)
				}
				id := put(t, s, key(1))
				if diff := cmp.Diff(map[rota.Label]string{rota.LabelPending: id}, labels(t, s)); diff != "" {
					t.Error(diff)
				}
				if got := e.text(t, s, rota.LabelCurrent); got != emptyValue {
					t.Errorf("consumers see %s", got)
				}
				move(t, s, rota.LabelCurrent, "", id)
				if diff := cmp.Diff(map[rota.Label]string{rota.LabelPending: id, rota.LabelCurrent: id}, labels(t, s)); diff != "" {
					t.Error(diff)
				}
				if got := e.text(t, s, rota.LabelCurrent); !strings.Contains(got, key(1).Field(rota.FieldAccessKeyID)) {
					t.Errorf("consumers see %s", got)
				}
			})
		}
	})
}

func TestCreatedSecretHasItsTags(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.SecretsManager(SecretsManagerConfig{Name: "tagged", Tags: map[string]string{"team": "web"}}).(*secretStore)
	put(t, s, key(1))
	state, _ := e.server.Secret("tagged")
	if diff := cmp.Diff(map[string]string{"team": "web"}, state.Tags); diff != "" {
		t.Error(diff)
	}
}

func TestStaleLookNeverTakesCurrentAway(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	e.seed(t, s, `{"other":1}`)
	before := e.server.Labels(s.cfg.Name)["AWSCURRENT"]
	e.onNext("DescribeSecret", 1, awstest.Fault{Stale: true}) // shows no secret yet
	put(t, s, key(1))
	if after := e.server.Labels(s.cfg.Name)["AWSCURRENT"]; after != before {
		t.Errorf("AWSCURRENT went from %s to %s", before, after)
	}
}

func TestPutAgainAfterTheOtherFieldsChanged(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		s := e.store(rota.FieldMap{})
		e.seed(t, s, `{"other":"1"}`)
		id := put(t, s, key(1))
		must(t)(e.values.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &s.cfg.Name, SecretString: new(`{"other":"2"}`)}))
		again := rota.PutRequest{Version: id, Credential: key(1), Labels: []rota.Label{rota.LabelPending}}
		if err := s.Put(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if got := e.text(t, s, rota.LabelPending); !strings.Contains(got, `"other":"1"`) {
			t.Errorf("the stored version changed to %s", got)
		}
		again.Credential = key(2)
		refusal(t, s.Put(t.Context(), again), rota.ClassStop, rota.ErrConflict)
	})
}

func TestSecretThatIsNoObjectIsLeftAlone(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		s := e.store(rota.FieldMap{})
		version := e.seed(t, s, "plain-s3cr3t")
		_, err := s.Get(t.Context(), rota.GetRequest{Version: version})
		refusal(t, err, rota.ClassStop, nil)
		err = s.Put(t.Context(), rota.PutRequest{Version: rota.NewVersionID(), Credential: key(1), Labels: []rota.Label{rota.LabelPending}})
		refusal(t, err, rota.ClassStop, nil)
		if strings.Contains(err.Error(), "plain-s3cr3t") || !strings.Contains(hint.Text(err), "try:") {
			t.Errorf("the error holds the value, or no hint: %v", err)
		}
		if got := e.text(t, s, rota.LabelCurrent); got != "plain-s3cr3t" {
			t.Errorf("it changed to %s", got)
		}
	})
}

func TestImpossiblePutsAreRefusedBeforeAnyWrite(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	many := make([]rota.Label, maxLabels+1)
	for i := range many {
		many[i] = rota.Label("L" + strings.Repeat("x", i))
	}
	pending := []rota.Label{rota.LabelPending}
	for name, r := range map[string]rota.PutRequest{
		"no label":            {Version: rota.NewVersionID(), Credential: key(1)},
		"too many labels":     {Version: rota.NewVersionID(), Credential: key(1), Labels: many},
		"an id too short":     {Version: "v1", Credential: key(1), Labels: pending},
		"an id too long":      {Version: strings.Repeat("v", 65), Credential: key(1), Labels: pending},
		"an empty credential": {Version: rota.NewVersionID(), Labels: pending},
	} {
		t.Run(name, func(t *testing.T) { refusal(t, s.Put(t.Context(), r), rota.ClassStop, nil) })
	}
	if calls := e.actions(); calls != "" {
		t.Errorf("called: %s", calls)
	}
	e.seed(t, s, `{}`)
	big := rota.NewCredential(map[string]string{"password": strings.Repeat("x", maxValue)})
	err := s.Put(t.Context(), rota.PutRequest{Version: rota.NewVersionID(), Credential: big, Labels: pending})
	refusal(t, err, rota.ClassStop, nil)
	if strings.Contains(err.Error(), "xxxx") || strings.Contains(e.actions(), "PutSecretValue") {
		t.Errorf("too big a value was sent or shown")
	}
}

func TestSecretThatIsToBeDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		s := e.store(rota.FieldMap{})
		version := e.seed(t, s, `{}`)
		must(t)(e.values.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &s.cfg.Name}))
		_, describe := s.Describe(t.Context())
		_, get := s.Get(t.Context(), rota.GetRequest{Version: version})
		for what, err := range map[string]error{
			"describe": describe,
			"get":      get,
			"put":      s.Put(t.Context(), rota.PutRequest{Version: rota.NewVersionID(), Credential: key(1), Labels: []rota.Label{rota.LabelPending}}),
			"move":     s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelServed, To: version}),
		} {
			if r, ok := errors.AsType[*rota.Error](err); !ok || r.Class != rota.ClassStop || !strings.Contains(rota.Hint(r.Remedies), "restore-secret") {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestVersionThatAWSAnnouncedHasNoValueUntilItIsPut(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	e.seed(t, s, `{"other":1}`)
	token, err := e.server.AnnounceVersion(s.cfg.Name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), rota.GetRequest{Version: token})
	refusal(t, err, rota.ClassStop, rota.ErrNotFound)
	if err := s.Put(t.Context(), rota.PutRequest{Version: token, Credential: key(1), Labels: []rota.Label{rota.LabelPending}}); err != nil {
		t.Fatal(err)
	}
	if got := e.text(t, s, rota.LabelPending); !strings.Contains(got, `"other":1`) {
		t.Errorf("stored %s", got)
	}
}

func TestDatesOfVersionsAreAskedForOnce(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	put(t, s, key(1))
	for range 3 {
		labels(t, s)
	}
	if n := strings.Count(e.actions(), "ListSecretVersionIds"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	put(t, s, key(2))
	e.onNext("ListSecretVersionIds", 1, awstest.Fault{Stale: true})
	_, err := s.Describe(t.Context())
	refusal(t, err, rota.ClassWait, nil) // never a version that looks as old as the year 1
	labels(t, s)
}

func TestCurrentIsNeverTakenOffWithoutASuccessor(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	first := e.seed(t, s, `{}`)
	refusal(t, s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: first}), rota.ClassStop, nil)
	if diff := cmp.Diff(map[rota.Label]string{rota.LabelCurrent: first}, labels(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestVersionFullOfLabels(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	first := e.seed(t, s, `{}`)
	for i := range maxLabels - 1 {
		move(t, s, rota.Label("L"+strings.Repeat("x", i)), "", first)
	}
	refusal(t, s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelServed, To: first}), rota.ClassStop, rota.ErrLimit)
}

func TestSecretsManagerPreflight(t *testing.T) {
	mapped := map[string]string{"access-id": rota.FieldAccessKeyID, "secret-key": rota.FieldSecretAccessKey}
	onEach(t, func(t *testing.T, e *env) {
		s := e.store(fields(t, mapped))
		if f := finding(t, s.Preflight(t.Context()), "secret "); !f.OK || !strings.Contains(f.Detail, "does not exist yet") {
			t.Errorf("%+v", f)
		}
		e.seed(t, s, `{"access-id":"AKIAOLD","secret-key":"0ld-value"}`)
		for _, f := range s.Preflight(t.Context()) {
			if !f.OK && !f.Warning || strings.Contains(f.Detail, "0ld-value") {
				t.Errorf("all is in order, and preflight says %+v", f)
			}
		}
		other := e.store(fields(t, mapped))
		e.seed(t, other, `{"access_id":"AKIAOLD","secret-key":"old"}`)
		if f := finding(t, other.Preflight(t.Context()), "value of"); !f.Warning || !strings.Contains(f.Detail, rota.FieldAccessKeyID) {
			t.Errorf("a mapped field is missing, and preflight says %+v", f)
		}
		plain := e.store(fields(t, mapped))
		e.seed(t, plain, `plain`)
		if f := finding(t, plain.Preflight(t.Context()), "value of"); f.OK || f.Warning {
			t.Errorf("no object, and preflight says %+v", f)
		}
	})
}

func TestPreflightFindsRotationByAWS(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	s := e.store(rota.FieldMap{})
	e.seed(t, s, `{}`)
	token, err := e.server.AnnounceVersion(s.cfg.Name)
	if err != nil {
		t.Fatal(err)
	}
	findings := s.Preflight(t.Context())
	if f := finding(t, findings, "nobody else rotates"); f.OK || f.Warning {
		t.Errorf("%+v", f)
	}
	if f := finding(t, findings, "labels of"); f.OK || f.Warning || !strings.Contains(f.Detail, token) {
		t.Errorf("a foreign AWSPENDING, and preflight says %+v", f)
	}
}
