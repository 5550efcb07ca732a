package client_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

type database struct {
	Host string
	Port int
}

func TestJSONParsesEachVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.SetText(db, `{"host":"a","port":1}`)
		typed := client.JSON[database](open(t, client.Options{Source: source}).Secret(db))
		for _, c := range []struct {
			text string
			want database
		}{
			{"", database{"a", 1}},
			{`{"host":"b","port":2}`, database{"b", 2}},
			{`{"host":"c","port":"87654321"}`, database{"b", 2}}, // can't be parsed
			{`{"host":"d","port":4}`, database{"d", 4}},
		} {
			if c.text != "" {
				source.SetText(db, c.text)
				synctest.Wait()
			}
			for range 2 {
				if got, err := typed.Get(t.Context()); err != nil || got != c.want {
					t.Errorf("%q: %v, %v", c.text, got, err)
				}
			}
			synctest.Wait()
		}
	})
}

func TestJSONErrorsHoldNoValue(t *testing.T) {
	for _, text := range []string{`{"port":87654321e99}`, `{"port":"s3cr3t"}`, `s3cr3t`, `{"port":"s3cr3t`, `["s3cr3t"]`, `{"host":87654321}`} {
		synctest.Test(t, func(t *testing.T) {
			source := clienttest.NewSource()
			source.SetText(db, text)
			typed := client.JSON[database](open(t, client.Options{Source: source}).Secret(db))
			_, err := typed.Get(t.Context())
			if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "87654321") || !strings.Contains(err.Error(), db) {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
}

func TestAValueNeverPrints(t *testing.T) {
	const hidden = "s3cr3t-value"
	holder := struct {
		Exported client.Value
		inner    client.Value
		pointer  *client.Value
	}{Exported: client.TextValue("v1", `{"password":"`+hidden+`"}`)}
	holder.inner = client.NewValue("v1", map[string]string{"password": hidden})
	holder.pointer = &holder.inner
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, holder)
		fmt.Fprintf(&out, verb, holder.Exported)
		fmt.Fprintf(&out, verb, &holder)
		fmt.Fprintf(&out, verb, []client.Value{holder.inner})
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", holder.inner, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", holder.inner, "holder", holder)
	if strings.Contains(out.String(), hidden) || strings.Contains(out.String(), fmt.Sprintf("%x", hidden)) {
		t.Errorf("the value was printed: %s", out.String())
	}
	if !strings.Contains(out.String(), "password") {
		t.Error("nothing was printed: the test sees nothing")
	}
}

func TestValues(t *testing.T) {
	v := client.TextValue("v1", `{"user":"a","port":5432,"tls":true,"nested":{"x":1}}`)
	for name, want := range map[string]string{"user": "a", "port": "5432", "tls": "true", "nested": `{"x":1}`, "none": ""} {
		if got := v.Field(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if v := client.TextValue("v1", "plain"); v.Text() != "plain" || len(v.Names()) != 0 {
		t.Errorf("%v", v)
	}
	if v := client.NewValue("v1", map[string]string{"b": "2", "a": "1"}); v.Text() != `{"a":"1","b":"2"}` || fmt.Sprint(v.Names()) != "[a b]" {
		t.Errorf("%v", v)
	}
	var none client.Value
	if !none.IsZero() || none.Field("a") != "" || none.Text() != "" || none.Version() != "" || none.Names() != nil || none.Fields() != nil || !none.ExpiresAt().IsZero() {
		t.Error("the zero value isn't empty")
	}
}
