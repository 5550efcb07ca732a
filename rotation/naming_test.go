package rotation

import (
	"errors"
	"testing"
)

func TestATargetOrReloaderIsNamedOnce(t *testing.T) {
	if got := naming("reload", "orders", errors.New("orders: exit status 1")).Error(); got != "reload orders: exit status 1" {
		t.Errorf("it says %q", got)
	}
	if got := naming("deliver to", "env", errors.New("no such folder")).Error(); got != "deliver to env: no such folder" {
		t.Errorf("it says %q", got)
	}
}
