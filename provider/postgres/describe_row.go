package postgres

import (
	"cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// rowConfig is a row of a table.
type rowConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"postgres" jsonschema:"The connection to the database with the table. Its role needs no CREATEROLE."`
	sqlrow.Keys
}

// Validate implements [provider.Validator].
func (c *rowConfig) Validate(v *provider.Validation) { c.Check(v, sqlrow.Postgres) }

// Claims implements [provider.Claimer].
func (c *rowConfig) Claims(k *provider.Known) []provider.Claim {
	database := ""
	if cfg, ok := k.Config(c.Connection.Text).(*connectionConfig); ok {
		text, known := k.Text(cfg.Database)
		if !known {
			return nil
		}
		database = cmp.Or(text, defaultDatabase)
	}
	return c.Claim(sqlrow.Postgres, c.Connection.Text, database)
}

// Target implements [provider.TargetConfig].
func (c *rowConfig) Target(b *provider.Build) (rota.Target, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	made := c.Row(b, sqlrow.Postgres)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Row(b.Name, made), nil
}
