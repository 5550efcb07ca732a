package rota_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

func TestACredentialNeverPrintsItsValues(t *testing.T) {
	const value = "s3cr3t-value"
	c := rota.NewCredential(map[string]string{"username": "app", "password": value})
	type holder struct {
		inner rota.Credential
		list  []rota.Credential
	}
	var prints []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if p := fmt.Sprintf(verb, holder{c, []rota.Credential{c}}); strings.Contains(p, value) {
			t.Errorf("the value is in %q", p)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		prints = append(prints, fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, []rota.Credential{c}),
			fmt.Sprintf(verb, rota.PutRequest{Credential: c}))
	}
	j, err := json.Marshal(map[string]any{"c": c})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "c", c, "group", slog.GroupValue(slog.Any("c", c)))
	for _, p := range append(prints, string(j), log.String()) {
		if strings.Contains(p, value) || strings.Contains(p, fmt.Sprintf("%x", value)) {
			t.Errorf("the value is in %q", p)
		}
		if !strings.Contains(p, "password") {
			t.Errorf("the field's name is not in %q", p)
		}
	}
}

func TestACredentialIsImmutable(t *testing.T) {
	m := map[string]string{"password": "a"}
	c := rota.NewCredential(m)
	m["password"] = "b"
	c.Fields()["password"] = "c"
	if got := c.Field("password"); got != "a" {
		t.Errorf("the field changed to %q", got)
	}
	if !c.Equal(rota.NewCredential(map[string]string{"password": "a"})) || c.Equal(rota.NewCredential(map[string]string{"password": "x"})) ||
		c.Equal(rota.NewCredential(nil)) || c.Equal(rota.NewCredential(map[string]string{"passwort": "a"})) {
		t.Error("Equal does not compare fields and values")
	}
}

func TestSanitizeCutsValuesOutAndKeepsTheClass(t *testing.T) {
	c := rota.NewCredential(map[string]string{"username": "orders_app", "password": "hunter22"})
	inner := &rota.Error{System: "postgres app-db", Class: rota.ClassRegenerate, Err: fmt.Errorf("password hunter22 of orders_app is too weak: %w", rota.ErrConflict)}
	err := rota.Sanitize(fmt.Errorf("set: %w", inner), c)
	if strings.Contains(err.Error(), "hunter22") {
		t.Errorf("the value is in %q", err)
	}
	if !strings.Contains(err.Error(), "orders_app") {
		t.Errorf("the public name is gone from %q", err)
	}
	if rota.ClassOf(err) != rota.ClassRegenerate || !errors.Is(err, rota.ErrConflict) {
		t.Errorf("class %s, want the inner error's; sentinel %v", rota.ClassOf(err), errors.Is(err, rota.ErrConflict))
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(fmt.Sprintf("%+v %#v", e, e.Error()), "hunter22") {
			t.Errorf("the value is in the chain: %v", e)
		}
	}
	plain := errors.New("connection reset")
	if rota.Sanitize(plain, c) != plain {
		t.Error("an error without a value was changed")
	}
}

func TestClassOf(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want rota.Class
	}{
		{"an unclassified error is waited for", errors.New("x"), rota.ClassWait},
		{"a classified one keeps its class", fmt.Errorf("a: %w", &rota.Error{Class: rota.ClassStop, Err: errors.New("x")}), rota.ClassStop},
		{"a bare conflict stops", fmt.Errorf("a: %w", rota.ErrConflict), rota.ClassStop},
		{"a joined error has its first class", errors.Join(errors.New("x"), &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("y")}), rota.ClassRegenerate},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := rota.ClassOf(test.err); got != test.want {
				t.Errorf("class %q, want %q", got, test.want)
			}
		})
	}
}
