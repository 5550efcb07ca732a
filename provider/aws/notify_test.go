package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/providertest"
)

var event = rota.Event{
	ID: "e-1", Kind: rota.EventRotated, Secret: "prod/site-s3", Version: "rota-1", Credential: "AKIA0000000000000001",
	At: time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC), Reason: "older than 90 days",
}

func TestEventsArePublished(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	arn := e.server.CreateTopic("rota")
	n := e.Topic(arn)
	if err := n.Notify(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	got := e.server.Published(arn)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	if got[0].Subject != "Rota: prod/site-s3 rotated" {
		t.Errorf("subject %q", got[0].Subject)
	}
	want := `prod/site-s3: rotated

A new credential has replaced the old one.

older than 90 days

Secret:     prod/site-s3
Version:    rota-1
Credential: AKIA0000000000000001
At:         2026-03-01T10:30:00Z
Event:      e-1
`
	if diff := cmp.Diff(want, got[0].Body); diff != "" {
		t.Error(diff)
	}
	for name, value := range map[string]string{"kind": "rotated", "secret": "prod/site-s3", "event_id": "e-1"} {
		if got[0].Attributes[name] != value {
			t.Errorf("attribute %s is %q", name, got[0].Attributes[name])
		}
	}
	if f := finding(t, n.(rota.Preflighter).Preflight(t.Context()), "topic"); !f.OK {
		t.Errorf("%+v", f)
	}
	ghost := e.Topic(arn + "x")
	refusal(t, ghost.Notify(t.Context(), event), rota.ClassStop, rota.ErrNotFound)
	if f := finding(t, ghost.(rota.Preflighter).Preflight(t.Context()), "topic"); f.OK || f.Warning || !strings.Contains(rota.Hint(f.Remedies), "aws sns create-topic --name ") {
		t.Errorf("no such topic, and preflight says %+v", f)
	}
}

func TestSubjectsFitSNS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subject := subjectOf(rota.Event{Kind: rota.EventFailed, Secret: rapid.String().Draw(t, "secret")})
		if len(subject) > maxSubject {
			t.Errorf("%d characters", len(subject))
		}
		if strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", subject)
		}
	})
}

func TestBucketIsReachedOrNot(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.issuer(t)
	c := create(t, k)
	e.server.CreateBucket("mine", k.user)
	e.server.CreateBucket("theirs")
	if err := e.Bucket("mine").Check(t.Context(), c); err != nil {
		t.Error(err)
	}
	refusal(t, e.Bucket("theirs").Check(t.Context(), c), rota.ClassWait, rota.ErrRefused)
	e.server.Allow(k.user, "s3:*") // S3 does not tell others that there is no such bucket
	refusal(t, e.Bucket("nowhere").Check(t.Context(), c), rota.ClassStop, rota.ErrNotFound)
	wrong := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: k.CredentialID(c), rota.FieldSecretAccessKey: "wr0ng-value"})
	err := e.Bucket("mine").Check(t.Context(), wrong)
	refusal(t, err, rota.ClassWait, rota.ErrRefused)
	if strings.Contains(err.Error(), "wr0ng-value") {
		t.Errorf("the error holds the value: %v", err)
	}
}

func TestBucketConformance(t *testing.T) {
	providertest.Check(t, func(t *testing.T) providertest.CheckFixture {
		e := startAWSTest(t, awstest.Options{})
		k, other := e.issuer(t), e.issuer(t)
		e.server.CreateBucket("mine", k.user)
		warm(t, e)
		good := create(t, k)
		return providertest.CheckFixture{
			Check: e.Bucket("mine"), Inject: injector(e, map[string]string{"check": "HeadBucket"}), Good: good, Unfit: create(t, other),
			Wrong: rota.NewCredential(map[string]string{rota.FieldAccessKeyID: k.CredentialID(good), rota.FieldSecretAccessKey: "wr0ng-value"}),
		}
	})
}

func TestNotifierConformance(t *testing.T) {
	providertest.Notifier(t, func(t *testing.T) providertest.NotifierFixture {
		e := startAWSTest(t, awstest.Options{})
		arn := e.server.CreateTopic("rota")
		return providertest.NotifierFixture{
			Notifier: e.Topic(arn),
			Inject:   injector(e, map[string]string{"notify": "Publish"}),
			Heard: func(event rota.Event) (bool, error) {
				for _, m := range e.server.Published(arn) {
					if m.Attributes["event_id"] == event.ID {
						return true, nil
					}
				}
				return false, nil
			},
		}
	})
}
