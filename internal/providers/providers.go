// Package providers is the one list of what Rota can rotate, deliver to and
// notify. A new provider adds one line here.
package providers

import (
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/chat"
	"github.com/rota-dev/rota/provider/cloudflare"
	"github.com/rota-dev/rota/provider/command"
	"github.com/rota-dev/rota/provider/elasticsearch"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/provider/function"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/grafana"
	"github.com/rota-dev/rota/provider/http"
	"github.com/rota-dev/rota/provider/kubernetes"
	"github.com/rota-dev/rota/provider/ldap"
	"github.com/rota-dev/rota/provider/manual"
	"github.com/rota-dev/rota/provider/mongodb"
	"github.com/rota-dev/rota/provider/mysql"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/provider/rabbitmq"
	"github.com/rota-dev/rota/provider/random"
	"github.com/rota-dev/rota/provider/redis"
	"github.com/rota-dev/rota/provider/smtp"
	"github.com/rota-dev/rota/provider/ssh"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/webhook"
)

// List is Rota's own providers, in the order that documents and the JSON
// Schema show them in.
func List() []provider.Provider {
	return []provider.Provider{
		file.Provider(),
		aws.Provider(),
		postgres.Provider(),
		mysql.Provider(),
		mongodb.Provider(),
		random.Provider(),
		redis.Provider(),
		elasticsearch.Provider(),
		rabbitmq.Provider(),
		ldap.Provider(),
		gitlab.Provider(),
		github.Provider(),
		grafana.Provider(),
		cloudflare.Provider(),
		ssh.Provider(),
		kubernetes.Provider(),
		vault.Provider(),
		http.Provider(),
		function.Provider(),
		webhook.Provider(),
		smtp.Provider(),
		chat.Provider(),
		command.Provider(),
		manual.Provider(),
	}
}
