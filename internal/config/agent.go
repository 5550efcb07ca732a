package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/fileformat"
)

// LoadAgent reads and validates an agent.yaml. It returns all problems at once, as
// [Errors].
func (c *Catalog) LoadAgent(path string) (*Agent, error) {
	data, err := readMain(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, rota.WithRemedies(fmt.Errorf("config %s: %w", path, os.ErrNotExist), rota.Command("rota agent --agent-config FILE"))
	}
	if err != nil {
		return nil, err
	}
	return c.ParseAgent(path, data)
}

// ParseAgent is LoadAgent for a file's content.
func (c *Catalog) ParseAgent(path string, data []byte) (*Agent, error) {
	d := &decoder{catalog: c, problems: problems{file: path}, warnings: problems{file: path}}
	a := &Agent{}
	if n := d.parse(data); n != nil {
		d.value(n, reflect.ValueOf(a).Elem(), nil, "")
	}
	if len(d.list) == 0 {
		v := agentValidator{d, a}
		v.agent()
	}
	if len(d.list) > 0 {
		return nil, Errors(d.sorted())
	}
	return a, nil
}

// AgentSchema returns the JSON Schema of agent.yaml.
func (c *Catalog) AgentSchema() ([]byte, error) {
	s, err := c.schemaFor(reflect.TypeFor[Agent]())
	if err != nil {
		return nil, fmt.Errorf("agent schema: %w", err)
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "agent.yaml"
	s.Description = "What rota agent writes where."
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("agent schema: %w", err)
	}
	return append(text, '\n'), nil
}

// agentValidator checks what the decoder can't.
type agentValidator struct {
	*decoder
	doc *Agent
}

func (v agentValidator) agent() {
	if u, err := url.Parse(v.doc.Server.Text); err != nil || u.Host == "" {
		v.add(v.doc.Server.At, Path{"server"}, "https://rota.example.com", "not a URL")
	}
	if len(v.doc.Files) == 0 && v.doc.AWS == nil {
		v.add(v.doc.At, top, "files, aws", "there's nothing to do")
	}
	if v.doc.Splay.Length < 0 {
		v.add(v.doc.Splay.At, Path{"splay"}, "10s", "is negative")
	}
	for name, command := range v.doc.Commands {
		if len(command.Run) == 0 {
			v.add(command.At, Path{"commands", name, "run"}, "[systemctl, reload, orders]", "names no program")
		}
		if command.Timeout.IsSet() && command.Timeout.Length <= 0 {
			v.add(command.Timeout.At, Path{"commands", name, "timeout"}, "30s", "must be longer than nothing")
		}
	}
	paths := map[string]int{}
	for i := range v.doc.Files {
		f := &v.doc.Files[i]
		path := Path{"files"}.Item(strconv.Itoa(i))
		v.fileEntry(f, path)
		clean := filepath.Clean(f.Path.Text)
		if line, twice := paths[clean]; twice && f.Format.Text == fileformat.Text {
			v.add(f.Path.At, path.Key("path"), "another path", "the same file is written on line %d", line)
		}
		paths[clean] = f.At.Line
	}
	if v.doc.AWS != nil {
		v.aws(v.doc.AWS)
	}
}

func (v agentValidator) fileEntry(f *AgentFile, path Path) {
	if !filepath.IsAbs(f.Path.Text) {
		v.add(f.Path.At, path.Key("path"), "/etc/app/credentials.env", "must be absolute")
	}
	if f.Mode.IsSet() && f.Mode.Perm()&0o007 != 0 {
		v.add(f.Mode.At, path.Key("mode"), `"0600", or "0640" with a group`, "%q lets everyone of the machine at the credential", f.Mode.Text)
	}
	if f.Command.IsSet() {
		if _, ok := v.doc.Commands[f.Command.Text]; !ok {
			v.suggest(f.Command.At, path.Key("command"), suggest(f.Command.Text, slices.Sorted(maps.Keys(v.doc.Commands))), "no such command in commands")
		}
	}
	if len(f.Names()) == 0 {
		v.add(f.At, path.Key("secrets"), "[prod/orders-db]", "names no secret")
	}
	if len(f.Names()) > 1 && len(f.Fields) == 0 && !f.Template.IsSet() {
		v.add(f.At, path, "fields: {DB_PASSWORD: \"{prod/orders-db:password}\"}", "several secrets need fields or a template")
	}
	if f.Template.IsSet() {
		switch {
		case f.Format.Text != fileformat.Text:
			v.add(f.Template.At, path.Key("template"), "format: text", "belongs to the format text")
		case len(f.Fields) > 0:
			v.add(f.Template.At, path.Key("template"), "keep one", "template and fields exclude each other")
		}
		return
	}
	settings, err := f.Settings("")
	if err == nil {
		_, err = fileformat.New(settings)
	}
	if err != nil {
		v.suggest(f.Format.At, path, rota.RemediesOf(err), "%v", err)
	}
}

// Settings are what the file's content is made by. For a file with a template, that
// is its text.
func (f *AgentFile) Settings(template string) (fileformat.Settings, error) {
	texts := provider.PlainTexts(f.Fields)
	if f.Template.IsSet() {
		texts = map[string]string{"content": template}
	}
	fields, err := rota.ParseFieldMap(texts, nil)
	return fileformat.Settings{Format: f.Format.Text, Profile: f.Profile.Text, Registry: f.Registry.Text, User: f.User.Text, Fields: fields}, err
}

func (v agentValidator) aws(a *AgentAWS) {
	if a.Listen.IsSet() {
		host, port, err := net.SplitHostPort(a.Listen.Text)
		address, parsed := netip.ParseAddr(host)
		if err != nil || port == "" || host != "localhost" && (parsed != nil || !address.IsLoopback()) {
			v.add(a.Listen.At, Path{"aws", "listen"}, DefaultAWSListen, "must be an address of this machine alone, with a port: whoever reaches it could ask for access keys")
		}
	}
	if a.Lifetime.IsSet() && a.Lifetime.Length < minAWSLifetime {
		v.add(a.Lifetime.At, Path{"aws", "lifetime"}, "30m", "must be %v at least: SDKs ask again up to a quarter of an hour before, and would do so all the time", minAWSLifetime)
	}
	if len(a.Credentials) == 0 {
		v.add(a.At, Path{"aws", "credentials"}, "{orders: {secret: prod/orders-aws, token_file: /run/orders/aws-token}}", "is empty")
	}
	for name := range a.Credentials {
		if !provider.GoodName(name) {
			v.add(a.Credentials[name].At, Path{"aws", "credentials"}.Key(name), "orders", "must be usable as a path")
		}
	}
}

// DefaultAWSListen is where the endpoint for AWS SDKs listens by default.
const DefaultAWSListen = "127.0.0.1:8471"

const minAWSLifetime = 16 * time.Minute
