// Package bench measures package client next to AWS's own cache for Secrets Manager,
// aws-secretsmanager-caching-go, in the same run and on the same imitation of the
// service. It's a module of its own so that AWS's cache isn't a dependency of Rota.
package bench
