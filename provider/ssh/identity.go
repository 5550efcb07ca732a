package ssh

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rota-dev/rota/provider"
)

var _ provider.ServerIdentifier = (*Connection)(nil)

// whoAreYou prints what tells a host from any other: the id of its boot, and its root,
// since containers have that of their machine.
const whoAreYou = `cat /proc/sys/kernel/random/boot_id && stat -c %d:%i /`

// ServerIdentity implements [provider.ServerIdentifier]: a host that's reached by two
// names is one. Only Linux says so; elsewhere, two names are two hosts.
func (c *Connection) ServerIdentity(ctx context.Context, server string) (string, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	for _, n := range c.nodes {
		if n.addr != server {
			continue
		}
		out, err := n.run(ctx, script{op: "see which host this is", text: whoAreYou})
		if err != nil {
			return "", c.failed(ctx, n.at("see which host it is"), err)
		}
		return string(bytes.Join(bytes.Fields(out), []byte(" "))), nil
	}
	return "", fmt.Errorf("connection %s has no host %s", c.name, shown(server))
}
