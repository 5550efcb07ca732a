//go:build !linux

package cli

import "github.com/coreos/go-systemd/v22/daemon"

// reloading says that the configuration is being read again.
func reloading() string { return daemon.SdNotifyReloading }
