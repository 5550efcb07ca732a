package api

import (
	"time"
)

// Principal is a person or program that Rota authenticates itself, with the
// keys that prove who they are.
type Principal struct {
	Name      string    `json:"name"`
	Rules     []Rule    `json:"rules"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	Keys      []Key     `json:"keys,omitempty"` // sorted by id
}

// Key is an access key without its secret.
type Key struct {
	ID        string    `json:"id"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	UsedAt    time.Time `json:"used_at,omitzero"`    // to the hour; zero: never, as far as known
}

// Rule allows an action on the secrets whose names match a pattern, in which
// "*" stands for any characters, "/" included. The actions are list, read,
// write, rotate, retire, remove, audit and admin.
type Rule struct {
	Action  string `json:"action"`
	Pattern string `json:"pattern"`
}

// String is the rule as people write it, such as "read:shop/*".
func (r Rule) String() string { return r.Action + ":" + r.Pattern }

// PrincipalsDoc lists principals.
type PrincipalsDoc struct {
	Principals []Principal `json:"principals"`
}

// KeyDoc is a new key: the one answer that holds a key's secret.
type KeyDoc struct {
	Principal string `json:"principal"`
	Key       Key    `json:"key"`
	Secret    string `json:"secret" doc:"Shown this once."`
	Token     string `json:"token" doc:"Both in one word, for Authorization: Bearer."`
}

// AccessAction is a change of who may do what.
type AccessAction string

// The changes of a principal or a key.
const (
	AccessCreatePrincipal  AccessAction = "create"
	AccessGrant            AccessAction = "grant"
	AccessRevoke           AccessAction = "revoke"
	AccessDisablePrincipal AccessAction = "disable"
	AccessEnablePrincipal  AccessAction = "enable"
	AccessDeletePrincipal  AccessAction = "delete"
	AccessDisableKey       AccessAction = "disable-key"
	AccessEnableKey        AccessAction = "enable-key"
	AccessDeleteKey        AccessAction = "delete-key"
)

// AccessChange is one change of who may do what.
type AccessChange struct {
	Action AccessAction `json:"action"`
	// Name is the principal's, or for the last three actions the key's id.
	Name  string `json:"name"`
	Rules []Rule `json:"rules,omitempty"` // for create, grant and revoke
}
