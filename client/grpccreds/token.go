// Package grpccreds has credentials for gRPC that follow a secret: a token with each
// call, or a certificate with each connection.
//
//	token := grpccreds.NewToken(secrets.Secret("prod/parcels-api"), grpccreds.TokenOptions{})
//	conn, err := grpc.NewClient("parcels.example.com:443",
//		grpc.WithTransportCredentials(credentials.NewTLS(nil)),
//		grpc.WithPerRPCCredentials(token), grpc.WithUnaryInterceptor(token.Retry))
//
// For certificates, see [Client] and [Server].
package grpccreds

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/rota-dev/rota/client"
)

// TokenOptions say what's sent.
type TokenOptions struct {
	// Field is the name of the token's field. Defaults to "token".
	Field string
	// Key is the name of the metadata, in lower case. Defaults to "authorization".
	Key string
	// Prefix is put before the token. For the key "authorization", it defaults to
	// "Bearer ".
	Prefix string
}

// Token sends a secret's current version with each call. It's never sent without TLS.
type Token struct {
	secret *client.Secret
	o      TokenOptions
}

var _ credentials.PerRPCCredentials = (*Token)(nil)

// NewToken returns the credentials.
func NewToken(s *client.Secret, o TokenOptions) *Token {
	if o.Field == "" {
		o.Field = "token"
	}
	if o.Key == "" {
		o.Key = "authorization"
	}
	if o.Key == "authorization" && o.Prefix == "" {
		o.Prefix = "Bearer "
	}
	return &Token{secret: s, o: o}
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (*Token) RequireTransportSecurity() bool { return true }

// chosen is the context's key for a call's version, which [Token.Retry] sets.
type chosen struct{ t *Token }

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (t *Token) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	v, ok := ctx.Value(chosen{t}).(client.Value)
	if !ok {
		var err error
		if v, err = t.secret.Get(ctx); err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
	}
	token := v.Field(t.o.Field)
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return nil, fmt.Errorf("secret %q has no usable field %q: its fields are %q", t.secret.Name(), t.o.Field, v.Names())
	}
	return map[string]string{t.o.Key: t.o.Prefix + token}, nil
}

// Retry is an interceptor for calls that are one request and one answer. If the server
// answers Unauthenticated, it has the secret refreshed, and makes the call once more
// with the new version, or with the previous one if there is no new one.
func (t *Token) Retry(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	v, err := t.secret.Get(ctx)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	first := invoke(context.WithValue(ctx, chosen{t}, v), method, request, reply, conn, o...)
	if status.Code(first) != codes.Unauthenticated {
		return first
	}
	other := t.secret.Other(ctx, v)
	if other.IsZero() {
		return first
	}
	return invoke(context.WithValue(ctx, chosen{t}, other), method, request, reply, conn, o...)
}
