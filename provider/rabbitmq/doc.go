// Package rabbitmq is RabbitMQ as an issuer: it rotates the password of one user,
// or of two users in turn so that the other stays valid. Users are changed through
// the management plugin's HTTP API; new passwords are tested over AMQP. Only hashes
// are sent unless the connection says otherwise.
package rabbitmq
