package aws

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		name, text string
		values     map[string]string
		want       string
	}{
		{"an empty object gets the fields, sorted", `{}`, map[string]string{"b": "2", "a": "1"}, `{"a":"1","b":"2"}`},
		{"other fields stay as they are, in their places", `{"z":1.50,"a":"old","n":{"x":[1, 2]},"b":12345678901234567890}`,
			map[string]string{"a": "new"}, `{"z":1.50,"a":"new","n":{"x":[1, 2]},"b":12345678901234567890}`},
		{"white space stays", "{\n  \"a\" : \"old\" ,\n  \"c\": 1e3\n}\n", map[string]string{"a": "new", "d": "x"},
			"{\n  \"a\" : \"new\" ,\n  \"c\": 1e3,\"d\":\"x\"\n}\n"},
		{"a field that was no text becomes one", `{"a":null,"b":{}}`, map[string]string{"a": "1", "b": "2"}, `{"a":"1","b":"2"}`},
		{"a name that stands twice is changed twice", `{"a":"1","a":"2"}`, map[string]string{"a": "3"}, `{"a":"3","a":"3"}`},
		{"a field of the same name deeper down stays", `{"x":{"a":"deep"},"a":"1"}`, map[string]string{"a": "2"}, `{"x":{"a":"deep"},"a":"2"}`},
		{"quotes, signs and other scripts are written so that they can be read", `{}`, map[string]string{`k"`: "<&>\"\\\n\u2028é"}, `{"k\"":"<&>\"\\\n\u2028é"}`},
		{"an escaped name is known", `{"\u0061":"1"}`, map[string]string{"a": "2"}, `{"\u0061":"2"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := parseDocument(c.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := doc.merge(c.values)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNoObject(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "plain text": "s3cr3t", "a string": `"s3cr3t"`, "a list": `["s3cr3t"]`, "null": "null", "a number": "1",
		"half an object": `{"a":"s3cr3t"`, "more after it": `{"a":"s3cr3t"} {}`, "text after it": `{"a":"s3cr3t"}x`,
		"a comma at the end": `{"a":"s3cr3t",}`, "no colon": `{"a" "s3cr3t"}`, "a broken value": `{"a":s3cr3t}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseDocument(text)
			if err == nil {
				t.Fatal("it was taken for an object")
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error holds the value: %v", err)
			}
		})
	}
}

func TestMergeRefusesWhatIsNoText(t *testing.T) {
	doc, err := parseDocument(`{"a":"1"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if text, err := doc.merge(map[string]string{name: "\xff"}); err == nil {
			t.Errorf("%s: got %s", name, text)
		}
	}
}

// TestMergeProperty: whatever object there is, the credential's fields have
// their new values, everything else keeps its text and its place, and merging
// again changes nothing.
func TestMergeProperty(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "access_key_id", "", "a\"b"}), rapid.String())
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"1.50", "1e400", "12345678901234567890", "null", "true", `[1, {"a":"x"}]`, `{"a":{}}`, `"\u00e9"`}),
		rapid.Custom(func(t *rapid.T) string {
			text, err := json.Marshal(rapid.String().Draw(t, "text"))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}))
	rapid.Check(t, func(t *rapid.T) {
		others := rapid.MapOf(name, value).Draw(t, "others")
		var members []string
		for n, v := range others {
			quoted, err := quote(n, n)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, quoted+rapid.SampledFrom([]string{":", " : ", ":\n\t"}).Draw(t, "colon")+v)
		}
		text := "{" + strings.Join(members, rapid.SampledFrom([]string{",", " ,\n"}).Draw(t, "comma")) + "}"
		values := rapid.MapOf(name, rapid.String()).Draw(t, "values")

		doc, err := parseDocument(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		merged, err := doc.merge(values)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseDocument(merged)
		if err != nil {
			t.Fatalf("%s: %v", merged, err)
		}
		if !again.carries(values) {
			t.Errorf("%s lacks a value", merged)
		}
		if twice, err := again.merge(values); err != nil || twice != merged {
			t.Errorf("merged again: %v\n%s\n%s", err, merged, twice)
		}
		var was, is map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(merged), &is); err != nil {
			t.Fatal(err)
		}
		want := maps.Clone(was)
		for n := range values {
			want[n] = is[n]
		}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("other fields changed:\n%s", diff)
		}
		names := func(d document) (all []string) {
			for _, m := range d.members {
				all = append(all, m.name)
			}
			return all
		}
		if before, after := names(doc), names(again); !slices.Equal(before, after[:len(before)]) {
			t.Errorf("the order changed from %q to %q", before, after)
		}
	})
}

func FuzzMerge(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":"1","b":2}`, ` { "a" : [ ] } `, `{"a":"1","a":2}`, "{\"\xff\":1}", `{"a":`, `[]`} {
		f.Add(seed, "a", "value")
	}
	f.Fuzz(func(t *testing.T, text, name, value string) {
		doc, err := parseDocument(text)
		if err != nil {
			if err.Error() != errNotObject.Error() {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("taken for an object: %q", text)
		}
		merged, err := doc.merge(map[string]string{name: value})
		if err != nil {
			return
		}
		again, err := parseDocument(merged)
		if err != nil {
			t.Fatalf("%q merged to %q: %v", text, merged, err)
		}
		if !again.carries(map[string]string{name: value}) {
			t.Fatalf("%q lost the value: %q", text, merged)
		}
	})
}
