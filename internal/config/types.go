package config

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Document is rota.yaml.
type Document struct {
	At          Pos                    `json:"-"`
	Connections map[string]*Connection `json:"connections,omitzero" jsonschema:"How to log in to outside systems, by names of your choice."`
	Defaults    Defaults               `json:"defaults,omitzero" jsonschema:"What holds for every secret that does not say otherwise."`
	Server      Server                 `json:"server,omitzero" jsonschema:"How rota serve listens."`
	Access      Access                 `json:"access,omitzero" jsonschema:"Who may do what, besides the principals in Rota's own store."`
	Secrets     []*Secret              `json:"secrets" jsonschema:"The secrets that Rota keeps fresh."`
}

// Connection is how to log in to one outside system.
type Connection struct {
	At       Pos       `json:"-"`
	AWS      *AWS      `json:"aws,omitzero" oneof:"kind" jsonschema:"An AWS account and region. Without keys the SDK's usual credential chain is used."`
	Postgres *Postgres `json:"postgres,omitzero" oneof:"kind" jsonschema:"A PostgreSQL database and the role that may change other roles' passwords."`
	SNS      *SNS      `json:"sns,omitzero" oneof:"kind" jsonschema:"An SNS topic that hears what happened."`
	Webhook  *Webhook  `json:"webhook,omitzero" oneof:"kind" jsonschema:"An address that events are posted to as JSON, signed."`
	SMTP     *SMTP     `json:"smtp,omitzero" oneof:"kind" jsonschema:"A mail server, and to whom events are sent."`
	Chat     *Chat     `json:"chat,omitzero" oneof:"kind" jsonschema:"A chat or paging service: Slack, Teams, Discord, PagerDuty and many more."`
	Command  *Command  `json:"command,omitzero" oneof:"kind" jsonschema:"A command that hears what happened; the event comes as JSON on its standard input."`
}

// AWS is an account and a region.
type AWS struct {
	At              Pos    `json:"-"`
	Region          Text   `json:"region,omitzero" jsonschema:"The region, such as eu-central-1."`
	Profile         Text   `json:"profile,omitzero" jsonschema:"A profile of the shared AWS configuration files."`
	RoleARN         Text   `json:"role_arn,omitzero" jsonschema:"A role to assume."`
	Chain           []Text `json:"chain,omitzero" jsonschema:"Roles to assume on the way to role_arn, each with the credentials of the one before."`
	ExternalID      Text   `json:"external_id,omitzero" jsonschema:"The external id that the role's trust policy asks for."`
	SessionName     Text   `json:"session_name,omitzero" jsonschema:"The name of the assumed role's session, seen in CloudTrail."`
	Endpoint        Text   `json:"endpoint,omitzero" jsonschema:"Another address for all AWS services: for emulators."`
	AccessKeyID     Text   `json:"access_key_id,omitzero" jsonschema:"A fixed access key's id, in place of the credential chain."`
	SecretAccessKey Text   `json:"secret_access_key,omitzero" secret:"true" jsonschema:"The access key's secret: a reference such as ${file:/run/secrets/aws}."`
	SessionToken    Text   `json:"session_token,omitzero" secret:"true" jsonschema:"The session token that belongs to the access key, if any."`
}

// Postgres is a database and the role to log in as.
type Postgres struct {
	At             Pos      `json:"-"`
	Host           Text     `json:"host" jsonschema:"A host name, an address, or the folder of a Unix socket."`
	Port           Int      `json:"port,omitzero" min:"1" max:"65535" jsonschema:"The port. Defaults to 5432."`
	Database       Text     `json:"database,omitzero" jsonschema:"The database. Defaults to postgres."`
	Username       Text     `json:"username" jsonschema:"The role that Rota logs in as."`
	Password       Text     `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/db}."`
	SSLMode        Plain    `json:"sslmode,omitzero" enum:"disable,require,verify-ca,verify-full" jsonschema:"How TLS is used, as in libpq. Defaults to verify-full, and to disable on loopback addresses and sockets."`
	SSLRootCert    Text     `json:"sslrootcert,omitzero" jsonschema:"The file with the certificates to trust."`
	SSLCert        Text     `json:"sslcert,omitzero" jsonschema:"The file with the client's certificate."`
	SSLKey         Text     `json:"sslkey,omitzero" jsonschema:"The file with the client's key."`
	ConnectTimeout Duration `json:"connect_timeout,omitzero" jsonschema:"How long logging in may take. Defaults to 10s."`
}

// SNS is a topic.
type SNS struct {
	At         Pos   `json:"-"`
	Connection Plain `json:"connection" jsonschema:"The aws connection to publish with."`
	TopicARN   Text  `json:"topic_arn" jsonschema:"The topic."`
}

// Webhook is an address.
type Webhook struct {
	At           Pos             `json:"-"`
	URL          Text            `json:"url" jsonschema:"The address."`
	Keys         []Text          `json:"keys" secret:"true" jsonschema:"The keys that sign: references such as ${file:/run/secrets/hook}. With two, receivers can change over."`
	Headers      map[string]Text `json:"headers,omitzero" jsonschema:"More headers."`
	AllowPrivate Bool            `json:"allow_private,omitzero" jsonschema:"Lets it post to addresses of private networks and of this machine, and without TLS."`
	Timeout      Duration        `json:"timeout,omitzero" jsonschema:"How long one request may take. Defaults to 10s."`
}

// SMTP is a mail server.
type SMTP struct {
	At       Pos      `json:"-"`
	Host     Text     `json:"host" jsonschema:"The mail server."`
	Port     Int      `json:"port,omitzero" min:"1" max:"65535" jsonschema:"The port. Defaults to 587, or 465 with security: tls."`
	Security Plain    `json:"security,omitzero" enum:"starttls,tls,none" jsonschema:"How the connection is protected. Defaults to starttls, without which nothing is sent."`
	Username Text     `json:"username,omitzero" jsonschema:"The name to log in with."`
	Password Text     `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/smtp}."`
	From     Plain    `json:"from" jsonschema:"The sender, such as Rota <rota@example.org>."`
	To       []Plain  `json:"to" jsonschema:"Everybody who gets the mails."`
	Timeout  Duration `json:"timeout,omitzero" jsonschema:"How long one mail may take. Defaults to 10s."`
}

// Chat is a service that shoutrrr knows.
type Chat struct {
	At      Pos      `json:"-"`
	URL     Text     `json:"url" secret:"true" jsonschema:"The service's shoutrrr URL: a reference such as ${file:/run/secrets/slack}, for it holds a token."`
	Timeout Duration `json:"timeout,omitzero" jsonschema:"How long one message may take. Defaults to 10s."`
}

// Command is a program with its arguments. They never hold a secret, since
// other people of the machine can read them.
type Command struct {
	At      Pos             `json:"-"`
	Run     []Plain         `json:"run" jsonschema:"The program and its arguments. No shell is used, and no ${…} reference is taken."`
	Timeout Duration        `json:"timeout,omitzero" jsonschema:"How long it may run. Defaults to 10m."`
	Dir     Text            `json:"dir,omitzero" jsonschema:"The folder to run it in."`
	Env     map[string]Text `json:"env,omitzero" empty:"true" jsonschema:"More variables for its environment."`
}

// Defaults hold for every secret that does not say otherwise.
type Defaults struct {
	At       Pos           `json:"-"`
	Policy   Policy        `json:"policy,omitzero" jsonschema:"When secrets are rotated. A secret's own policy is merged over it, key by key."`
	Notify   []Notice      `json:"notify,omitzero" jsonschema:"The connections that hear what happened to any secret."`
	Password PasswordRules `json:"password,omitzero" jsonschema:"How passwords are made."`
	Advice   Plain         `json:"advice,omitzero" enum:"on,off" jsonschema:"Whether rota check says how targets could do without a key. Defaults to on."`
}

// PasswordRules say how a password is made.
type PasswordRules struct {
	At       Pos   `json:"-"`
	Length   Int   `json:"length,omitzero" min:"8" max:"1024" jsonschema:"How many characters. Defaults to 32."`
	Alphabet Plain `json:"alphabet,omitzero" jsonschema:"The characters to choose from. Defaults to letters, digits and characters that neither URLs nor shells mind."`
	Exclude  Plain `json:"exclude,omitzero" empty:"true" jsonschema:"Characters to leave out of the alphabet."`
}

// Policy says when a secret is rotated and its previous credential retired.
type Policy struct {
	At                      Pos         `json:"-"`
	RotateEvery             Duration    `json:"rotate_every,omitzero" jsonschema:"How old a credential may grow, such as 90d. 0s means never by itself."`
	RotateAt                *Cron       `json:"rotate_at,omitzero" jsonschema:"The moments to rotate at, in place of rotate_every."`
	Jitter                  Duration    `json:"jitter,omitzero" jsonschema:"The span over which the rotations of a fleet are spread. Defaults to a ninetieth of rotate_every, 1d at most; 0s for none."`
	RetirePrevious          Plain       `json:"retire_previous,omitzero" enum:"after_grace,before_create" jsonschema:"Whether the previous credential goes when its grace is over, or only just before the next is made. Defaults to after_grace."`
	DeactivatePreviousAfter Duration    `json:"deactivate_previous_after,omitzero" jsonschema:"How long after the new credential is in use the previous one is switched off, such as 10d. Defaults to half of delete_previous_after, else to a ninth of rotate_every, 10d at most."`
	DeletePreviousAfter     Duration    `json:"delete_previous_after,omitzero" jsonschema:"How long after the new credential is in use the previous one is deleted, such as 20d. Defaults to twice deactivate_previous_after."`
	UnusedFor               Duration    `json:"unused_for,omitzero" jsonschema:"How long the previous credential must not have been used before it is switched off. Defaults to 7d, or deactivate_previous_after where that is shorter, but at least 1d."`
	Window                  *Window     `json:"window,omitzero" jsonschema:"When rotations may begin."`
	Blackouts               []*Blackout `json:"blackouts,omitzero" jsonschema:"Spans in which nothing begins that need not."`
	ApartFrom               []*Apart    `json:"apart_from,omitzero" jsonschema:"Secrets that must not be rotated at about the same time."`
	WarnBefore              Duration    `json:"warn_before,omitzero" jsonschema:"How long before a credential expires, or a person has to rotate it, that is told. Defaults to 14d."`
	MaxAttempts             Int         `json:"max_attempts,omitzero" min:"1" max:"1000" jsonschema:"How often a failing step is tried. Defaults to 20."`
	LateAfter               Duration    `json:"late_after,omitzero" jsonschema:"How long what is due may wait before it counts as late. Defaults to 24h."`
}

// Window is a recurring span of time.
type Window struct {
	At       Pos      `json:"-"`
	Cron     Plain    `json:"cron" jsonschema:"When it opens, in five cron fields: minute, hour, day of month, month, day of week."`
	For      Duration `json:"for" jsonschema:"How long it stays open, such as 4h."`
	Timezone Plain    `json:"timezone,omitzero" jsonschema:"The time zone of the cron fields, such as Europe/Berlin. Defaults to UTC."`
}

// Cron is moments that recur.
type Cron struct {
	At       Pos   `json:"-"`
	Cron     Plain `json:"cron" jsonschema:"When, in five cron fields: minute, hour, day of month, month, day of week."`
	Timezone Plain `json:"timezone,omitzero" jsonschema:"The time zone of the cron fields, such as Europe/Berlin. Defaults to UTC."`
}

// Blackout is a span of time.
type Blackout struct {
	At       Pos   `json:"-"`
	From     Plain `json:"from" jsonschema:"Its first day, such as 2026-12-20, or a moment, such as 2026-12-20T18:00, in quotes."`
	Until    Plain `json:"until" jsonschema:"Its last day, or the moment at which it is over, in quotes."`
	Timezone Plain `json:"timezone,omitzero" jsonschema:"The time zone of the two, such as Europe/Berlin. Defaults to UTC."`
	Why      Plain `json:"why,omitzero" jsonschema:"Why, for people."`
}

// Apart names a secret to be kept apart from.
type Apart struct {
	At     Pos      `json:"-"`
	Secret Plain    `json:"secret" jsonschema:"The other secret."`
	By     Duration `json:"by" jsonschema:"How far apart the two rotations must be, such as 12h."`
}

// Checks is one check, or a list of them.
type Checks []*Check

func (c *Checks) read(d *decoder, n *yaml.Node, path string, tag reflect.StructTag) {
	if n.Kind != yaml.SequenceNode {
		*c = Checks{{}}
		d.value(n, reflect.ValueOf((*c)[0]).Elem(), path, tag)
		return
	}
	*c = make(Checks, len(n.Content))
	d.elements(n, reflect.ValueOf(c).Elem(), path, tag)
}
