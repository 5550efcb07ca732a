package cli

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

func TestAHolderNamesHostAndProcess(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(fmt.Sprintf(`^%s/%d/[a-z2-7]{6}$`, regexp.QuoteMeta(host), os.Getpid()))
	if first := holder(); !want.MatchString(first) || first == holder() {
		t.Errorf("%s, want one of %s, each time another", first, want)
	}
}
