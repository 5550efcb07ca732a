package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/rotation"
)

// A secret's owner writes its value, and so names the host at which its user
// logs in, and the master's secret. The function may read master secrets, which
// the owner may not. So whatever it does with a master's password is decided by
// what only those who control the master's secret can change: where it's sent,
// and whether over TLS.

// hostTag is a tag of a master's secret: the only server to which its password
// is sent, as host or host:port, if its value doesn't say.
const hostTag = "rota:host"

// The ports of servers whose secrets don't say.
const (
	defaultPostgresPort = 5432
	defaultMySQLPort    = 3306
)

// loginAsMaster makes Rota log in with the master's secret.
func (inv *invocation) loginAsMaster(ctx context.Context, secret string, cfg *postgres.Config, id string) error {
	master, host, port, err := inv.masterOf(ctx, secret, id, cfg.Host, cmp.Or(cfg.Port, defaultPostgresPort), defaultPostgresPort)
	if err != nil {
		return err
	}
	cfg.Host, cfg.Port = host, port
	cfg.SSLMode = inv.sslMode(master)
	cfg.Username, cfg.Password = master.Values.Field("username"), master.Values.Field("password")
	return nil
}

// masterOf returns the master's secret, and the server that it's for, which has to
// be the one that the app's secret asks for. usual is the port of a server whose
// secret doesn't say.
func (inv *invocation) masterOf(ctx context.Context, secret, id, asks string, asked, usual int) (master aws.Entry, host string, port int, err error) {
	master, err = inv.aws.Entry(ctx, id)
	if err != nil {
		return master, "", 0, fmt.Errorf("the master's secret: %w", err)
	}
	if err := requireFields(master, "username", "password"); err != nil {
		return master, "", 0, fmt.Errorf("the master's secret: %w", err)
	}
	host, port, err = inv.serverOf(ctx, secret, master, usual)
	if err != nil {
		return master, "", 0, err
	}
	if !postgres.SameHost(host, asks) || port != asked {
		return master, "", 0, held(secret, rota.Outside(fmt.Sprintf("correct host and port in %s, or, if this is the master's server too, in %s or its tag %s", secret, master.Name, hostTag)),
			"the master's secret %s is for the server %s, and this one for %s", master.Name, address(host, port), address(asks, asked))
	}
	return master, host, port, nil
}

// serverOf returns the only server to which a master's password may be sent, as
// its secret says, or its tag, or RDS.
func (inv *invocation) serverOf(ctx context.Context, secret string, master aws.Entry, usual int) (host string, port int, err error) {
	if host := master.Values.Field("host"); host != "" {
		port, err := portOf(master, usual)
		return host, port, err
	}
	if tag := master.Tags[hostTag]; tag != "" {
		host, text, err := net.SplitHostPort(tag)
		if err != nil { // the host alone
			host, text = tag, strconv.Itoa(usual)
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			return "", 0, &configError{rota.WithRemedies(fmt.Errorf("secret %s: the tag %s is not a host and its port", master.Name, hostTag), rota.Outside(address("db.example.org", usual)))}
		}
		return host, port, nil
	}
	host, port, err = inv.aws.ManagedDatabase(ctx, master)
	if errors.Is(err, rota.ErrNotFound) && !isSystems(err) {
		return "", 0, held(secret, rota.Outside(fmt.Sprintf("host and port in %[1]s, or the tag %[2]s on it, such as %[2]s = db.example.org:%[3]d", master.Name, hostTag, usual)),
			"the master's secret %s doesn't say for which server it is, so its password is sent to none", master.Name)
	}
	return host, port, err
}

// isSystems reports whether AWS itself returned the error.
func isSystems(err error) bool {
	_, ok := errors.AsType[*rota.Error](err)
	return ok
}

// portOf is the port in an entry's value, or the usual one.
func portOf(entry aws.Entry, usual int) (int, error) {
	text := entry.Values.Field("port")
	if text == "" {
		return usual, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0, &configError{fmt.Errorf("secret %s: its port is not a number", entry.Name)}
	}
	return port, nil
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// held is a request that may not be carried out until a person has done
// something about it.
func held(secret string, remedies []rota.Remedy, format string, args ...any) error {
	d := rotation.Decision{Hold: rotation.HoldNotReady, Reason: fmt.Sprintf(format, args...), Remedies: remedies}
	return rota.WithRemedies(&heldError{secret, d}, remedies)
}
