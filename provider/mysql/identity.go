package mysql

import (
	"context"

	"github.com/rota-dev/rota/provider"
)

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: a Galera cluster's identifier, since
// its servers share their accounts, or else the server's own with where it runs.
// The latter is made from the machine's network address and the port, so clones
// of a machine could have the same; their host names seldom are.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	const op = "identify the server"
	cluster, err := c.ask(ctx, op, "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'")
	if err != nil {
		return "", err
	}
	if len(cluster) > 0 && cluster[0]["Value"] != "" {
		return "cluster\x00" + cluster[0]["Value"], nil
	}
	found, err := c.ask(ctx, op, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', 'server_uuid', 'group_replication_group_name', 'hostname', 'port', 'datadir')")
	if err != nil {
		return "", err
	}
	own := row{}
	for _, r := range found {
		own[r["Variable_name"]] = r["Value"]
	}
	if group := own["group_replication_group_name"]; group != "" {
		return "cluster\x00" + group, nil
	}
	return "server\x00" + own["server_uid"] + own["server_uuid"] + "\x00" + own["hostname"] + "\x00" + own["port"] + "\x00" + own["datadir"], nil
}
