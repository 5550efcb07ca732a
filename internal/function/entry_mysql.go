package function

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/mysql"
	"github.com/rota-dev/rota/rotation"
)

// mysql describes a user of MySQL or MariaDB by the fields of AWS's own rotation
// functions, as for PostgreSQL: engine, host, port, username, password, dbname,
// ssl, masterarn. Accounts are those at any host (%), as those functions have them.
//
// A single user of MySQL has one password here too. A second one would count as in
// use while the application is connected, and block every other rotation.
func (inv *invocation) mysql(ctx context.Context, s *rotation.Secret, entry aws.Entry) error {
	if err := requireFields(entry, "host", "username"); err != nil {
		return err
	}
	port, err := portOf(entry, defaultMySQLPort)
	if err != nil {
		return err
	}
	cfg := mysql.Config{
		Host: entry.Values.Field("host"), Port: port, Database: entry.Values.Field("dbname"),
		SSLMode: inv.mysqlMode(entry), SSLCA: inv.settings.mysqlCA,
	}
	if cfg.SSLMode == "disabled" {
		cfg.SSLCA = ""
	}
	fields, err := rota.ParseFieldMap(map[string]string{"username": rota.FieldUsername, "password": rota.FieldPassword}, nil)
	if err != nil {
		return err
	}
	s.Store = inv.aws.SecretsManager(aws.SecretsManagerConfig{Name: cmp.Or(entry.ARN, entry.Name), Fields: fields})
	id := entry.Values.Field("masterarn")
	if id == "" {
		if err := requireFields(entry, "password"); err != nil {
			return err
		}
		s.Issuer, err = mysql.Own(entry.Name, cfg, mysql.OwnConfig{User: entry.Values.Field("username"), Rules: inv.settings.rules, Known: storedCredentials(s.Store)})
		return asConfigError(err)
	}
	master, host, port, err := inv.masterOf(ctx, entry.Name, id, cfg.Host, port, defaultMySQLPort)
	if err != nil {
		return err
	}
	cfg.Host, cfg.Port, cfg.SSLMode, cfg.SSLCA = host, port, inv.mysqlMode(master), inv.settings.mysqlCA
	cfg.Username, cfg.Password = master.Values.Field("username"), master.Values.Field("password")
	c, err := mysql.New(entry.Name, cfg)
	if err != nil {
		return &configError{err}
	}
	inv.closers = append(inv.closers, c.Close)
	if err := inv.issueAsMySQLMaster(s, c, entry); err != nil {
		return err
	}
	return inv.refuseUnproven(ctx, s, entry)
}

// issueAsMySQLMaster makes the issuer for the user of an entry that names a master.
func (inv *invocation) issueAsMySQLMaster(s *rotation.Secret, c *mysql.Connection, entry aws.Entry) (err error) {
	user := entry.Values.Field("username")
	switch way := entry.Tags[rolesTag]; way {
	case "single":
		s.Issuer, err = c.Password(mysql.PasswordConfig{User: user, Rules: inv.settings.rules})
	case "alternating", "":
		first := strings.TrimSuffix(user, cloneSuffix)
		s.Issuer, err = c.Alternating(mysql.AlternatingConfig{Users: [2]string{first, first + cloneSuffix}, Clone: true, Rules: inv.settings.rules})
	default:
		err = fmt.Errorf("secret %s: the tag %s is neither single nor alternating", entry.Name, rolesTag)
	}
	return asConfigError(err)
}

// mysqlMode is how to log in with an entry's password: without TLS only if that
// entry itself says so, and the function's settings don't.
func (inv *invocation) mysqlMode(entry aws.Entry) string {
	if inv.settings.mysqlMode == "" && entry.Values.Field("ssl") == "false" {
		return "disabled"
	}
	return inv.settings.mysqlMode
}
