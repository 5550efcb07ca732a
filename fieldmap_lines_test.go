package rota_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

func TestErrorsNameTheLineOfATemplate(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"a field that isn't there": {"[db]\nuser = {username}\npassword = {pasword}\n", `content: line 3: the credential has no field "pasword", only [password username]`},
		"an open brace":            {"a\n{username\n", "content: line 2: a { without its }"},
		"a closing brace":          {"a\nb\n}\n", "content: line 3: a } without its {"},
		"a filter":                 {"{username}\n{password|urlx}", "content: line 2: {password|urlx}: no filter"},
		"one line":                 {"{pasword}\n", `content: the credential has no field "pasword"`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := rota.ParseFieldMap(map[string]string{"content": c.template}, nil)
			if err == nil {
				_, err = m.Render(rota.NewCredential(map[string]string{"username": "orders", "password": "s3cret"}))
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
