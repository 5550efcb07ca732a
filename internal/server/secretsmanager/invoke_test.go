package secretsmanager

import (
	"strings"
	"testing"
)

// Lambda marks a failure in a header, and its runtime emulator in the body alone.
func TestFailuresOfFunctions(t *testing.T) {
	for _, test := range []struct{ mark, body, want string }{
		{"", "", ""}, {"", "null", ""}, {"", "{}", ""}, {"", `"done"`, ""}, {"", `{"statusCode": 200}`, ""},
		{"Unhandled", `{"errorMessage": "hush", "errorType": "ValueError"}`, "ValueError"}, {"Unhandled", "", "Unhandled"},
		{"", `{"errorMessage": "hush", "errorType": "ValueError", "stackTrace": []}`, "ValueError"},
		{"", `{"errorMessage": "hush"}`, "an error without a type"}, {"", "Task timed out after 3.00 seconds", "an answer that isn't JSON"},
		{"Unhandled", `{"errorType": "` + strings.Repeat("hush", 50) + `"}`, "Unhandled"},
	} {
		if got := failure(test.mark, []byte(test.body)); got != test.want {
			t.Errorf("header %q and body %q: %q, want %q", test.mark, test.body, got, test.want)
		}
	}
}
