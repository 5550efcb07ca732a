package rota

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSanitizeCutsEveryRendering(t *testing.T) {
	const value = `p+A/s<S>&w"o'r\d=%100~`
	c := NewCredential(map[string]string{FieldUsername: "app", FieldPassword: value})
	asJSON, err := json.Marshal(map[string]string{"pw": value})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"as it is": value, "quoted": fmt.Sprintf("%q", value), "JSON": string(asJSON),
		"a query": url.Values{"pw": {value}}.Encode(), "a path": url.PathEscape(value), "hex": fmt.Sprintf("%x", value), "HEX": fmt.Sprintf("%X", value),
	}
	shell := strings.ReplaceAll(value, "'", `'\''`)
	texts["a shell's apostrophes"] = "+ curl -u 'app:" + shell + "' db"
	texts["a shell's other apostrophes"] = "'" + strings.ReplaceAll(value, "'", `'"'"'`) + "'"
	texts["a shell's backslashes"] = regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(value, `\$0`)
	texts["octal"] = regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllStringFunc(value, func(c string) string { return fmt.Sprintf(`\%03o`, c[0]) })
	texts["every character escaped"] = regexp.MustCompile(`.`).ReplaceAllStringFunc(value, func(c string) string { return fmt.Sprintf(`\u%04x`, c[0]) })
	texts["every byte of a URL"] = regexp.MustCompile(`.`).ReplaceAllStringFunc(value, func(c string) string { return fmt.Sprintf(`%%%02x`, c[0]) })
	texts["SQL"] = "ALTER ROLE app PASSWORD '" + strings.ReplaceAll(value, "'", "''") + "'"
	texts["HTML"] = html.EscapeString(value)
	texts["XML by number"] = regexp.MustCompile(`.`).ReplaceAllStringFunc(value, func(c string) string { return fmt.Sprintf("&#x%x;", c[0]) })
	texts["a dump in hex"] = fmt.Sprintf("00000000: % x", value)
	texts["hex with colons"] = strings.ReplaceAll(fmt.Sprintf("% x", value), " ", ":")
	texts["JSON in JSON"] = fmt.Sprintf("%q", asJSON)
	texts["JSON in base64"] = base64.StdEncoding.EncodeToString(asJSON)
	texts["base64 in JSON in a URL"] = url.QueryEscape(`{"data":"` + base64.StdEncoding.EncodeToString([]byte(value)) + `"}`)
	texts["base64 of base64"] = base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("app:" + value))))
	texts["base64 in lines"] = regexp.MustCompile(`.{76}`).ReplaceAllString(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", 50)+value)), "$0\n")
	for i := range 6 {
		texts[fmt.Sprint("base64 after ", i)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", i) + value + "more"))
		texts[fmt.Sprint("base64url after ", i)] = base64.URLEncoding.EncodeToString([]byte(strings.Repeat("u", i) + value))
	}
	for name, text := range texts {
		got := Sanitize(fmt.Errorf("app: %s: %w", text, ErrRefused), c)
		if !strings.Contains(got.Error(), redacted) || !errors.Is(got, ErrRefused) || !strings.HasPrefix(got.Error(), "app: ") {
			t.Errorf("%s: %v", name, got)
		}
		for _, r := range readings(got.Error(), minRedacted) {
			if bytes.Contains(r.text, []byte(value)) {
				t.Errorf("%s: %q still holds the value", name, got)
			}
		}
	}
}

func TestSanitizeCutsWhatIsLeftOfAValue(t *testing.T) {
	const value = "(correct-horse-battery.)."
	c := NewCredential(map[string]string{FieldPassword: value})
	for _, test := range []struct{ name, text, want string }{
		{"a text without its last period", "bad " + value[:len(value)-1] + " (error 2)", "bad ([redacted].) (error 2)"},
		{"a value without its punctuation", "bad correct-horse-battery: denied", "bad [redacted]: denied"},
		{"a text that ends early", "bad " + value[:12], "bad [redacted]"},
		{"a text that begins late", value[10:] + " is bad", "[redacted] is bad"},
		{"a text with its middle left out", "bad " + value[:9] + Omission + value[9:] + " is bad", "bad [redacted]" + Omission + "[redacted] is bad"},
		{"base64 that ends early", "bad " + base64.StdEncoding.EncodeToString([]byte(value[:12])), "bad [redacted]"},
		{"little is no secret", "bad " + value[:minPart-1], "bad " + value[:minPart-1]},
		{"the middle of a text", "bad " + value[:12] + " denied", "bad " + value[:12] + " denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Sanitize(errors.New(test.text), c).Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSanitizeLeavesWhatSurroundsAValue(t *testing.T) {
	c := NewCredential(map[string]string{FieldPassword: "hunter-22", "token": "s3cr3t!"})
	for _, test := range []struct{ name, text, want string }{
		{"plain", "role hunter-22: denied", "role [redacted]: denied"},
		{"twice", "hunter-22hunter-22", "[redacted][redacted]"},
		{"two values", "hunter-22/s3cr3t!/hunter-22", "[redacted]/[redacted]/[redacted]"},
		{"base64", "data: " + base64.StdEncoding.EncodeToString([]byte("hunter-22")) + ".", "data: [redacted]."},
		{"a query", "GET /?a=1&token=s3cr3t%21&b=2", "GET /?a=1&token=[redacted]&b=2"},
		{"not ASCII", "größer als hunter-22 – ja", "größer als [redacted] – ja"},
		{"words that could be base64", "refused /usr/local/bin/reload/authentication failed", "refused /usr/local/bin/reload/authentication failed"},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Sanitize(errors.New(test.text), c).Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSanitizeCutsEveryLineOfAKey(t *testing.T) {
	key := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END KEY-----\n"
	c := NewCredential(map[string]string{"key": key, "token": "hunter-22\n"})
	got := Sanitize(errors.New("read:\n> "+strings.ReplaceAll(key, "\n", "\n> ")+" with hunter-22"), c).Error()
	if want := "read:\n> [redacted]\n> [redacted]\n> [redacted]\n> [redacted]\n>  with [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBriefKeepsTheBeginningAndTheEnd(t *testing.T) {
	long := strings.Repeat("ä", 4000)
	for _, test := range []struct{ name, text, begins, ends string }{
		{"a short text", "exit status 1: …half", "exit status 1: …half", "half"},
		{"a long one", "exit status 1: " + long + " end", "exit status 1: ä", "ä end"},
		{"one whose beginning was left out", "exit status 1: …half" + long + " end", "exit status 1: …ä", "ä end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Brief(test.text)
			if !strings.HasPrefix(got, test.begins) || !strings.HasSuffix(got, test.ends) || len(got) > briefHead+briefTail+len(Omission) || !utf8.ValidString(got) {
				t.Errorf("got %d bytes, %.40q … %q", len(got), got, got[max(0, len(got)-20):])
			}
		})
	}
}

func TestReadingIsBounded(t *testing.T) {
	size := 0
	for _, r := range readings(strings.Repeat(`%41\"''&amp;QUJDREVGR0g`, 4000), minRedacted) {
		size += len(r.text)
	}
	if size > maxRead {
		t.Errorf("%d bytes were read", size)
	}
}

// A server's page of an error can be of any length.
func TestSanitizeCutsValuesOutOfLongTexts(t *testing.T) {
	c := NewCredential(map[string]string{FieldPassword: "hunter-22"})
	hidden := base64.StdEncoding.EncodeToString([]byte("hunter-22"))
	text := "500: " + hidden + " " + strings.Repeat("<p>&amp; \"quoted\" %20 </p>\n", 400_000) + hidden + ": the end"
	began := time.Now()
	got := Sanitize(errors.New(text), c).Error()
	if strings.Contains(got, hidden) || !strings.HasPrefix(got, "500: [redacted] ") || !strings.HasSuffix(got, "[redacted]: the end") {
		t.Errorf("got %.40q … %q", got, got[max(0, len(got)-40):])
	}
	if took := time.Since(began); len(got) > maxSanitized || took > 5*time.Second {
		t.Errorf("%d bytes are left, after %s", len(got), took)
	}
}

func FuzzReadings(f *testing.F) {
	f.Add(`\x`, "hunter-22")
	f.Add(`%4`, "a b")
	f.Add(`\ud83d\u`, "QUJD")
	f.Fuzz(func(t *testing.T, text, value string) {
		got := redactValues(text, []string{value + "12345678"})
		if !strings.Contains(text, value+"12345678") && !strings.Contains(text, "\x00") && len(readings(text, minRedacted)) == 1 && got != text {
			t.Errorf("%q became %q", text, got)
		}
		_ = redactValues(base64.StdEncoding.EncodeToString([]byte(text)), []string{value + "12345678"})
	})
}

func TestSanitizeCutsValuesOutOfACancelledCall(t *testing.T) {
	c := NewCredential(map[string]string{FieldPassword: "hunter-22"})
	got := Sanitize(fmt.Errorf("reload: %w: it said hunter-22", context.Canceled), c)
	if strings.Contains(got.Error(), "hunter") || !errors.Is(got, context.Canceled) {
		t.Errorf("%v", got)
	}
}

func TestSanitizeLeavesOtherErrorsAlone(t *testing.T) {
	err := errors.New("no route to host")
	if got := Sanitize(err, NewCredential(map[string]string{FieldPassword: "hunter-22"}), Credential{}); got != err {
		t.Errorf("%v", got)
	}
}

func TestSanitizeCutsAShortPasswordWhereItStandsAlone(t *testing.T) {
	for _, test := range []struct{ name, password, text, want string }{
		{"in quotes", "red", `near "red": denied`, `near "[redacted]": denied`},
		{"at both ends", "red", "red is not red", "[redacted] is not [redacted]"},
		{"in a longer word", "red", "refused: shared credentials, redis", "refused: shared credentials, redis"},
		{"in a URL", "red", "postgres://app:red@db", "postgres://app:[redacted]@db"},
		{"beside a letter that isn't ASCII", "red", "ä red, äred", "ä [redacted], äred"},
		{"one sign", "!", "wow! wow!!", "wow[redacted] wow[redacted][redacted]"},
		{"a value that is none", "", "denied", "denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := NewCredential(map[string]string{FieldUsername: "db", FieldPassword: test.password})
			if got := Sanitize(errors.New(test.text), c).Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	other := NewCredential(map[string]string{"color": "red"})
	if got := Sanitize(errors.New("red"), other).Error(); got != "red" {
		t.Errorf("a short field that is no password: %q", got)
	}
}
