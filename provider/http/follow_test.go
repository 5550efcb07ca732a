package http

import (
	"net/url"
	"testing"
)

// An API's answer chooses the next page, and Rota's login goes along.
func TestTheNextPageIsBelowTheConnectionsURL(t *testing.T) {
	base, err := url.Parse("https://api.example.com/v3")
	if err != nil {
		t.Fatal(err)
	}
	c := &Connection{base: base}
	for link, want := range map[string]string{
		"https://api.example.com/v3/keys?page=2":       "/keys?page=2",
		"/v3/keys?page=2":                              "/keys?page=2",
		"/v3/a%2Fb/keys":                               "/a%2Fb/keys",
		"/keys":                                        "",
		"/v3/../admin":                                 "",
		"/v3/%2e%2e/admin":                             "",
		"/v3/keys/..%2F..%2Fadmin":                     "",
		"/v30/keys":                                    "",
		"//evil.example/v3/keys":                       "",
		"https://api.example.com:444/v3/keys":          "",
		"http://api.example.com/v3/keys":               "",
		"https://api.example.com@evil.example/v3/keys": "",
		"https://me@api.example.com/v3/keys":           "",
	} {
		if got, err := c.follow(link); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v, want %q", link, got, err, want)
		}
	}
}
