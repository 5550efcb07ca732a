package ssh

import (
	"regexp"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

// Two addresses that lead to one machine are one host.
func TestAHostWithTwoAddressesIsOne(t *testing.T) {
	a, b := testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{})
	c := connectWith(t, settings(a, b))
	first, errA := c.ServerIdentity(t.Context(), a.Addr)
	second, errB := c.ServerIdentity(t.Context(), b.Addr)
	if errA != nil || errB != nil || first != second || !regexp.MustCompile(`^[0-9a-f-]{36} \d+:\d+$`).MatchString(first) {
		t.Errorf("%q (%v) and %q (%v)", first, errA, second, errB)
	}
	if _, err := c.ServerIdentity(t.Context(), "127.0.0.1:1"); err == nil {
		t.Error("another host has an identity")
	}
	mute := testenv.SSHD(t, testenv.SSHOptions{Config: []string{"ForceCommand /bin/true"}})
	if got, err := connectWith(t, settings(mute)).ServerIdentity(t.Context(), mute.Addr); err == nil {
		t.Errorf("a host that runs nothing is %q", got)
	}
}
