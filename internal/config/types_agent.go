package config

import (
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/fileformat"
)

// Agent is agent.yaml, the file of rota agent.
type Agent struct {
	At       Pos                     `json:"-"`
	Server   Plain                   `json:"server" jsonschema:"The URL of the running Rota."`
	ServerCA Plain                   `json:"server_ca,omitzero" default:"the system's" jsonschema:"The file with the certificate authorities for the server."`
	Login    AgentLogin              `json:"login" jsonschema:"Who the agent is."`
	State    Plain                   `json:"state,omitzero" default:"$STATE_DIRECTORY, which systemd sets" jsonschema:"The folder in which the agent notes, without values, which commands it still owes."`
	Cache    *AgentCache             `json:"cache,omitzero" jsonschema:"An encrypted cache, for a start while the server is away."`
	Splay    Duration                `json:"splay,omitzero" default:"0s" jsonschema:"The longest random delay before a new version is written."`
	Files    []AgentFile             `json:"files,omitzero" jsonschema:"What is written where."`
	Commands map[string]AgentCommand `json:"commands,omitzero" jsonschema:"What is run once files have changed."`
	AWS      *AgentAWS               `json:"aws,omitzero" jsonschema:"An endpoint from which AWS SDKs on this machine get access keys."`
}

// AgentLogin is one of the ways to log in.
type AgentLogin struct {
	At          Pos               `json:"-"`
	TokenFile   Plain             `json:"token_file,omitzero" oneof:"login" jsonschema:"The file with a key's token, or with an id token that its platform renews, such as a Kubernetes service account's."`
	Credential  Plain             `json:"credential,omitzero" oneof:"login" jsonschema:"The name of a systemd credential that holds the token."`
	OIDC        *AgentOIDC        `json:"oidc,omitzero" oneof:"login" jsonschema:"A client of an issuer that the server trusts."`
	Certificate *AgentCertificate `json:"certificate,omitzero" oneof:"login" jsonschema:"A client certificate. It's read again for each connection."`
}

// AgentOIDC is a client of an issuer.
type AgentOIDC struct {
	TokenURL         Plain   `json:"token_url" jsonschema:"The issuer's token endpoint."`
	ClientID         Plain   `json:"client_id" jsonschema:"The client's id."`
	ClientSecretFile Plain   `json:"client_secret_file" jsonschema:"The file with the client's secret."`
	Audience         Plain   `json:"audience,omitzero" jsonschema:"The audience to ask for, if the issuer takes it as a parameter."`
	Scopes           []Plain `json:"scopes,omitzero" jsonschema:"The scopes to ask for."`
}

// AgentCertificate is a certificate and its key.
type AgentCertificate struct {
	Cert Plain `json:"cert" jsonschema:"The file with the certificate, in PEM."`
	Key  Plain `json:"key" jsonschema:"The file with its key."`
}

// AgentCache is an encrypted cache on disk.
type AgentCache struct {
	Folder        Plain `json:"folder" jsonschema:"Its folder."`
	KeyFile       Plain `json:"key_file,omitzero" oneof:"key" jsonschema:"The file with its key: at least 16 random bytes."`
	KeyCredential Plain `json:"key_credential,omitzero" oneof:"key" jsonschema:"The name of a systemd credential that holds its key."`
}

// AgentFile is a file and what belongs into it.
type AgentFile struct {
	At      Pos    `json:"-"`
	Path    Plain  `json:"path" jsonschema:"The file's absolute path."`
	Secret  Name   `json:"secret,omitzero" oneof:"secret" jsonschema:"The secret."`
	Secrets []Name `json:"secrets,omitzero" oneof:"secret" jsonschema:"Several secrets. Their fields are called prod/orders-db:password."`
	fileformat.Keys
	Template Plain         `json:"template,omitzero" jsonschema:"The file with the template, for the format text."`
	Mode     provider.Mode `json:"mode,omitzero" default:"\"0600\" for a new file" jsonschema:"The permissions of a new file, in quotes, and the most that an existing one keeps."`
	Owner    Plain         `json:"owner,omitzero" default:"the existing file's" jsonschema:"The file's owner, by name or number in quotes."`
	Group    Plain         `json:"group,omitzero" default:"the existing file's" jsonschema:"The file's group, by name or number in quotes."`
	Command  Plain         `json:"command,omitzero" jsonschema:"The command to run when the content has changed, from commands."`
}

// Names are the file's secrets.
func (f *AgentFile) Names() []string {
	if f.Secret.Text != "" {
		return []string{f.Secret.Text}
	}
	var names []string
	for _, s := range f.Secrets {
		names = append(names, s.Text)
	}
	return names
}

// AgentCommand makes programs read their files.
type AgentCommand struct {
	At      Pos      `json:"-"`
	Run     []Plain  `json:"run" jsonschema:"The program and its arguments. There's no shell."`
	Timeout Duration `json:"timeout,omitzero" default:"30s" jsonschema:"How long it may take."`
}

// AgentAWS is the endpoint for AWS SDKs.
type AgentAWS struct {
	At          Pos                           `json:"-"`
	Listen      Plain                         `json:"listen,omitzero" default:"127.0.0.1:8471" jsonschema:"The address and port to listen on, on this machine only."`
	Lifetime    Duration                      `json:"lifetime,omitzero" default:"30m" jsonschema:"When SDKs have to ask again. Keep it shorter than the grace period of the keys."`
	Credentials map[string]AgentAWSCredential `json:"credentials" jsonschema:"What is answered where: each name is the path after the port."`
}

// AgentAWSCredential is one path of the endpoint.
type AgentAWSCredential struct {
	At        Pos   `json:"-"`
	Secret    Name  `json:"secret" jsonschema:"The secret with the access key."`
	TokenFile Plain `json:"token_file" jsonschema:"The file with the token that SDKs have to show. The agent creates it if there's none."`
}
