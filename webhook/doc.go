// Package webhook is for receivers of Rota's webhooks: it verifies that Rota
// sent a message, and decodes it.
//
//	receiver, err := webhook.NewReceiver(os.Getenv("ROTA_WEBHOOK_KEY"))
//	if err != nil {
//		return err
//	}
//	http.Handle("POST /rota", receiver.Handler(func(ctx context.Context, m webhook.Message) error {
//		return page(ctx, m.Title, m.Event.Reason)
//	}))
//
// Messages are signed according to Standard Webhooks (standardwebhooks.com):
// HMAC-SHA256 over the id, a timestamp and the body. Signatures are compared in
// constant time, timestamps must be within [Tolerance], and bodies are bounded.
//
// What sends the messages is package provider/webhook.
package webhook
