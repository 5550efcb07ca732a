package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/server/tracing"
)

// app is one run of the program: its environment and the flags shared by
// all commands.
type app struct {
	Program
	environment map[string]string
	catalog     *config.Catalog
	log         *slog.Logger
	logJSON     bool             // the log is JSON lines
	tracing     *tracing.Tracing // nil if tracing is off
	outStyle    style
	errStyle    style

	configFlag, dataDirFlag, databaseFlag, masterKeyFlag string
	serverFlag, serverCAFlag, tokenFileFlag              string
	clientCertFlag, clientKeyFlag                        string
	output, logLevel, logFormat                          string
	noColor, yes                                         bool
}

func newApp(p Program) *app {
	a := &app{Program: p, environment: map[string]string{}, log: slog.New(slog.DiscardHandler)}
	for _, pair := range p.Env {
		if name, value, ok := strings.Cut(pair, "="); ok {
			a.environment[name] = value
		}
	}
	return a
}

func (a *app) lookupEnv(name string) (string, bool) {
	value, ok := a.environment[name]
	return value, ok
}

func (a *app) json() bool { return a.output == "json" }

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "rota",
		Short: "Rota rotates credentials end to end",
		Long: `Rota rotates credentials end to end: it issues a new one, stores it, proves it
works, promotes it, delivers it to everything that uses it, waits until consumers
have switched over, and only then retires the old one.

  rota init      write a commented rota.yaml to start from
  rota check     can Rota do everything it needs to?
  rota plan      what will happen, when and why
  rota run       do everything that's due, once: for cron and pipelines
  rota status    the state of every secret`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := a.start(); err != nil {
				return err
			}
			return a.checkPlace(c)
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.StringVarP(&a.configFlag, "config", "c", "", "the configuration `file` (default $ROTA_CONFIG, or rota.yaml here)")
	f.StringVar(&a.dataDirFlag, "data-dir", "", "the `folder` of Rota's own store (default $ROTA_DATA_DIR, or rota in the user's state folder)")
	f.StringVar(&a.masterKeyFlag, "master-key", "", "the `URL` of the key that encrypts the master key, such as awskms:///alias/rota?region=eu-central-1, instead of a key file; or file:///PATH of a key file that's provided (default $ROTA_MASTER_KEY)")
	f.StringVar(&a.databaseFlag, "database", "", "the PostgreSQL `URL` of Rota's own store, instead of the data folder's database (default $ROTA_DATABASE)")
	f.StringVar(&a.serverFlag, "server", "", "the `URL` of a running Rota to use instead of this machine (default $ROTA_SERVER)")
	f.StringVar(&a.tokenFileFlag, "token-file", "", "the `file` with the token for the server (default $ROTA_TOKEN, or the file $ROTA_TOKEN_FILE)")
	f.StringVar(&a.serverCAFlag, "server-ca", "", "the `file` with the certificate authorities for the server (default $ROTA_SERVER_CA, or the system's)")
	f.StringVar(&a.clientCertFlag, "client-cert", "", "the `file` with a client certificate for the server, in PEM (default $ROTA_CLIENT_CERT)")
	f.StringVar(&a.clientKeyFlag, "client-key", "", "the `file` with the certificate's key (default $ROTA_CLIENT_KEY)")
	f.StringVarP(&a.output, "output", "o", "table", "output format: table or json")
	f.BoolVar(&a.noColor, "no-color", false, "print without colors (default if NO_COLOR is set, or not on a terminal)")
	f.BoolVarP(&a.yes, "yes", "y", false, "answer yes to every question")
	f.StringVar(&a.logLevel, "log-level", "", "log level on stderr: debug, info, warn or error (default $ROTA_LOG_LEVEL, or warn; info for serve)")
	f.StringVar(&a.logFormat, "log-format", "", "log format: text or json (default $ROTA_LOG_FORMAT, or text; json with --output json)")
	for flag, choices := range map[string][]string{
		"output": {"table", "json"}, "log-format": {"text", "json"}, "log-level": {"debug", "info", "warn", "error"},
	} {
		_ = root.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDescriptions = false
	for _, add := range []func() *cobra.Command{
		a.initCommand, a.validateCommand, a.schemaCommand, a.providersCommand, a.providerCommand, a.checkCommand, a.policyCommand, a.discoverCommand, a.planCommand,
		a.rotateCommand, a.runCommand, a.serveCommand, a.controllerCommand, a.statusCommand, a.historyCommand, a.versionsCommand, a.holdersCommand,
		a.rollbackCommand, a.adoptCommand, a.deliverCommand, a.deactivateCommand, a.deleteCommand,
		a.pauseCommand, a.resumeCommand, a.freezeCommand, a.thawCommand, a.doneCommand,
		a.getCommand, a.alertCommand, a.auditCommand, a.keyCommand, a.backupCommand, a.restoreCommand, a.migrateCommand,
		a.accessCommand, a.healthCommand, a.reloadCommand, a.eventsCommand, a.execCommand, a.agentCommand, a.credentialProcessCommand,
		a.convertCommand, a.simulateCommand, a.demoCommand, a.manCommand, a.versionCommand, exitCodesTopic,
	} {
		root.AddCommand(add())
	}
	for _, c := range append(root.Commands(), root) {
		c.SuggestionsMinimumDistance = 2 // cobra's own default, which it only sets for its own errors
	}
	return root
}

// start checks the shared flags before any command runs.
func (a *app) start() error {
	if a.output != "table" && a.output != "json" {
		given := a.output
		a.output = "table"
		return rota.WithRemedies(usage("--output %s: no such output", given), rota.Command("--output table", "--output json"))
	}
	if err := a.startLog(); err != nil {
		return err
	}
	a.outStyle, a.errStyle = a.styleOf(a.Stdout), a.styleOf(a.Stderr)
	return a.checkDatabase()
}

// configPath is where rota.yaml is.
func (a *app) configPath() string {
	if a.configFlag != "" {
		return a.configFlag
	}
	if path := a.environment["ROTA_CONFIG"]; path != "" {
		return path
	}
	return "rota.yaml"
}

// dataDir is the folder of Rota's own store.
func (a *app) dataDir() (string, error) {
	if a.dataDirFlag != "" {
		return a.dataDirFlag, nil
	}
	if dir := a.environment["ROTA_DATA_DIR"]; dir != "" {
		return dir, nil
	}
	if dir := a.environment["XDG_STATE_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "rota"), nil
	}
	if home := a.environment["HOME"]; home != "" {
		return filepath.Join(home, ".local", "state", "rota"), nil
	}
	return "", rota.WithRemedies(usage("no folder for Rota's own store"), append(rota.Command("--data-dir FOLDER"), rota.Outside("set ROTA_DATA_DIR")...))
}

// dataVolume is the mount point of the volume that the data folder is on, if others
// can't reach it.
func (a *app) dataVolume() string { return a.environment["ROTA_DATA_VOLUME"] }

// actor is the name the audit records.
func (a *app) actor() string {
	if actor := a.environment["ROTA_ACTOR"]; actor != "" {
		return actor
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + hostname()
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// Argument checks, whose errors say how the command is used.

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		text := "no such command: " + args[0]
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			for i := range near {
				near[i] = c.CommandPath() + " " + near[i]
			}
			return rota.WithRemedies(usage("%s", text), rota.Command(near...))
		}
		return rota.WithRemedies(usage("%s", text), rota.Command(fmt.Sprintf("%s --help", c.CommandPath())))
	}
	return rota.WithRemedies(usage("%s takes no argument %q", c.CommandPath(), args[0]), rota.Command(fmt.Sprintf("%s --help", c.CommandPath())))
}

// flagError says what's wrong with a flag, and which one was probably meant.
func flagError(c *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var all []string
		c.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		name, _, _ := strings.Cut(unknown.GetSpecifiedName(), "=")
		if near := access.Nearest(name, all); near != "" && unknown.GetSpecifiedShortnames() == "" {
			return rota.WithRemedies(usage("%w", err), rota.Command("--"+near, c.CommandPath()+" --help"))
		}
	}
	return rota.WithRemedies(usage("%w", err), rota.Command(fmt.Sprintf("%s --help", c.CommandPath())))
}

// argCount requires between low and high arguments; a negative high means no limit.
func argCount(low, high int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < low || (high >= 0 && len(args) > high) {
			return rota.WithRemedies(usage("%s: %d arguments given", c.CommandPath(), len(args)), rota.Command(c.UseLine()))
		}
		return nil
	}
}
