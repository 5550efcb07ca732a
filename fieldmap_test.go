package rota_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
)

var key = rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIA1", rota.FieldSecretAccessKey: "s/e+c"})

func TestFieldMapGivesFieldsTheirOutsideNames(t *testing.T) {
	for name, c := range map[string]struct{ fields, want map[string]string }{
		"no map keeps the fields' own names": {nil, map[string]string{"access_key_id": "AKIA1", "secret_access_key": "s/e+c"}},
		"a field":                            {map[string]string{"access-id": "access_key_id"}, map[string]string{"access-id": "AKIA1"}},
		"one field under two names":          {map[string]string{"a": "access_key_id", "b": "access_key_id"}, map[string]string{"a": "AKIA1", "b": "AKIA1"}},
		"a template":                         {map[string]string{"u": "s3://{access_key_id}:{secret_access_key}@x"}, map[string]string{"u": "s3://AKIA1:s/e+c@x"}},
		"a filter":                           {map[string]string{"u": "{secret_access_key|url}", "b": "{access_key_id|base64}"}, map[string]string{"u": "s%2Fe%2Bc", "b": "QUtJQTE="}},
		"braces for themselves":              {map[string]string{"j": `{{"id":"{access_key_id}"}}`}, map[string]string{"j": `{"id":"AKIA1"}`}},
		"only braces":                        {map[string]string{"j": "{{}}"}, map[string]string{"j": "{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := rota.ParseFieldMap(c.fields, key.Names())
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Render(key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFieldMapRefusesWhatItCannotRender(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "empty",
		"acces_key_id":            `no field "acces_key_id"`,
		"{acces_key_id}":          `no field "acces_key_id"`,
		"{access_key_id":          "a { without its }",
		"access_key_id}":          "a } without its {",
		"{}":                      "names no field",
		"{{{}":                    "names no field",
		"{ access_key_id }":       "names no field",
		"{access_key_id|}":        `no filter ""`,
		"{access_key_id|hex}":     `no filter "hex"`,
		"{access_key_id|url|url}": "no filter",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := rota.ParseFieldMap(map[string]string{"name": text}, key.Names())
			if err == nil || !strings.Contains(rota.WithHint(err.Error(), rota.RemediesOf(err), rota.Remedy.String), want) || !strings.HasPrefix(err.Error(), "name: ") {
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
	if _, err := rota.ParseFieldMap(map[string]string{"": "access_key_id"}, nil); err == nil {
		t.Error("an empty name is taken")
	}
}

func TestFieldMapReadsBackWhatIsAFieldAlone(t *testing.T) {
	m, err := rota.ParseFieldMap(map[string]string{"id": "access_key_id", "key": "{secret_access_key}", "both": "{access_key_id}:{secret_access_key}", "coded": "{access_key_id|base64}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"access_key_id", "secret_access_key"}, m.Readable()); diff != "" {
		t.Errorf("readable (-want +got):\n%s", diff)
	}
	values, err := m.Render(key)
	if err != nil {
		t.Fatal(err)
	}
	values["other"] = "stays out"
	if !m.Read(values).Equal(key) {
		t.Errorf("read back %v", m.Read(values))
	}
}

func TestFieldMapSaysWhatTheCredentialLacks(t *testing.T) {
	m, err := rota.ParseFieldMap(map[string]string{"p": "password"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Render(key)
	if err == nil || !strings.Contains(err.Error(), `"password"`) || strings.Contains(err.Error(), "s/e+c") {
		t.Errorf("error %v", err)
	}
}

// A value that is put into a URL with |url is read back by a URL's reader,
// whether it stands for the user, in the path or in the query.
func TestTheURLFilterFitsEveryPlaceOfAURL(t *testing.T) {
	m, err := rota.ParseFieldMap(map[string]string{"dsn": "postgres://u:{password|url}@h/{password|url}?p={password|url}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringMatching(`[ -~]{1,20}`).Draw(t, "password")
		values, err := m.Render(rota.NewCredential(map[string]string{"password": password}))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(values["dsn"])
		if err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		inUser, _ := u.User.Password()
		if inUser != password || strings.TrimPrefix(u.Path, "/") != password || u.Query().Get("p") != password {
			t.Errorf("%q came back as %q, %q and %q", password, inUser, u.Path, u.Query().Get("p"))
		}
	})
}

func FuzzParseFieldMap(f *testing.F) {
	for _, s := range []string{"password", "{password}", "a{password|url}b", "{{}}", "{", "}", "{}", "{a|base64}{b}", "{a|", "{{{a}}}"} {
		f.Add("name", s)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		m, err := rota.ParseFieldMap(map[string]string{name: text}, nil)
		if err != nil {
			if !strings.HasPrefix(err.Error(), name+": ") && name != "" {
				t.Errorf("error %v", err)
			}
			return
		}
		// The credential has every field that the template names.
		fields := map[string]string{text: "v"}
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '{' || r == '}' || r == '|' }) {
			fields[word] = "v"
		}
		values, err := m.Render(rota.NewCredential(fields))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, field := range m.Readable() {
			if m.Read(values).Field(field) != fields[field] {
				t.Errorf("%q: field %q is not read back", text, field)
			}
		}
	})
}
