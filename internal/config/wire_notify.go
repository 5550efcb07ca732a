package config

import (
	"context"
	"errors"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/smtp"
	hooks "github.com/rota-dev/rota/provider/webhook"
	"github.com/rota-dev/rota/rotation"
	"github.com/rota-dev/rota/webhook"
)

// notice makes the notifier of one entry under notify. Entries that say the
// same share one.
func (w *wiring) notice(ctx context.Context, x Notice) (rota.Notifier, error) {
	n, err := w.notifier(ctx, x.Parts.Connection.Text)
	if err != nil {
		return nil, err
	}
	if kinds := x.kinds(); len(kinds) > 0 {
		n = rotation.Only(n, kinds...)
	}
	every := x.Parts.Digest.Length
	if every == 0 {
		return n, nil
	}
	d := &rotation.Digester{Notifier: n, Every: every, Outbox: w.env.Outbox}
	if known, ok := w.digesters[d.Name()]; ok {
		return known, nil
	}
	w.digesters[d.Name()] = d
	return d, nil
}

func (w *wiring) notifier(ctx context.Context, name string) (rota.Notifier, error) {
	return once(w.notifiers, name, func() (rota.Notifier, error) {
		switch c := w.file.Document.Connections[name]; {
		case c.SNS != nil:
			return w.topic(ctx, c.SNS)
		case c.Webhook != nil:
			return w.webhook(ctx, name, c.Webhook)
		case c.SMTP != nil:
			return w.smtp(ctx, name, c.SMTP)
		case c.Chat != nil:
			return w.chat(ctx, name, c.Chat)
		}
		return w.commandNotifier(ctx, name)
	})
}

func (w *wiring) webhook(ctx context.Context, name string, c *Webhook) (rota.Notifier, error) {
	r := w.reader(ctx)
	cfg := hooks.Config{Name: name, URL: r.text(c.URL), Headers: r.texts(c.Headers), AllowPrivate: c.AllowPrivate.Yes, Timeout: c.Timeout.Length}
	var errs []error
	for _, k := range c.Keys {
		key, err := webhook.ParseKey(r.text(k))
		errs = append(errs, err)
		cfg.Keys = append(cfg.Keys, key)
	}
	if err := errors.Join(r.err(), errors.Join(errs...)); err != nil {
		return nil, err
	}
	return hooks.New(cfg)
}

func (w *wiring) smtp(ctx context.Context, name string, c *SMTP) (rota.Notifier, error) {
	r := w.reader(ctx)
	cfg := smtp.Config{
		Name: name, Host: r.text(c.Host), Port: c.Port.Number, Security: smtp.Security(c.Security.Text),
		Username: r.text(c.Username), Password: r.text(c.Password), From: c.From.Text, Timeout: c.Timeout.Length,
	}
	for _, to := range c.To {
		cfg.To = append(cfg.To, to.Text)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return smtp.New(cfg)
}

// notify checks who is to hear of what.
func (v *validator) notify(all []Notice, path string) {
	seen := map[string]bool{}
	for _, x := range all {
		p := x.Parts
		name := p.Connection.Text
		if len(p.Events)+len(p.Secrets) == 0 && !p.Digest.IsSet() {
			if seen[name] && name != "" {
				v.add(x.At, "", "%s: %q is there twice", path, name)
			}
			seen[name] = true
		}
		v.reference(p.Connection, path, kindSNS, kindCommand, kindWebhook, kindSMTP, kindChat)
		if p.Digest.IsSet() && p.Digest.Length < rota.Day/1440 {
			v.add(p.Digest.At, "try: 24h", "%s.digest: must be a minute at least", path)
		}
	}
}

// channel checks a connection that hears of events.
func (v *validator) channel(c *Connection, path string) {
	switch {
	case c.Webhook != nil:
		if u, plain := c.Webhook.URL.literal(); plain && strings.HasPrefix(u, "http://") && !c.Webhook.AllowPrivate.Yes {
			v.add(c.Webhook.URL.At, "try: https, or allow_private: true inside of a network of your own", "%s.webhook.url: without TLS anybody between can read and change the events", path)
		}
		if len(c.Webhook.Keys) == 0 && !v.bad[path+".webhook"] {
			v.add(c.Webhook.At, `try: keys: ["${file:/run/secrets/hook}"]`, "%s.webhook: no key to sign with", path)
		}
	case c.SMTP != nil:
		if len(c.SMTP.To) == 0 && !v.bad[path+".smtp"] {
			v.add(c.SMTP.At, "try: to: [ops@example.org]", "%s.smtp: nobody to send to", path)
		}
	}
}
