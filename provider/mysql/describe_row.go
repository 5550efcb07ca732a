package mysql

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// rowConfig is a row of a table.
type rowConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"mysql" jsonschema:"The connection to the server with the table. Its account needs no CREATE USER."`
	sqlrow.Keys
}

// Validate implements [provider.Validator].
func (c *rowConfig) Validate(v *provider.Validation) { c.Check(v, sqlrow.MySQL) }

// Claims implements [provider.Claimer].
func (c *rowConfig) Claims(k *provider.Known) []provider.Claim {
	database := ""
	if cfg, ok := k.Config(c.Connection.Text).(*connectionConfig); ok {
		text, known := k.Text(cfg.Database)
		if !known {
			return nil
		}
		database = text
	}
	return c.Claim(sqlrow.MySQL, c.Connection.Text, database)
}

// Target implements [provider.TargetConfig].
func (c *rowConfig) Target(b *provider.Build) (rota.Target, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	made := c.Row(b, sqlrow.MySQL)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Row(b.Name, made)
}
