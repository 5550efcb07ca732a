// Package canary holds tests alone: they play the lives of secrets with the
// real program, let every kind of step fail, and then look for every secret
// value that there was in everything that Rota wrote. The values that rota get
// shows and that targets hold are meant to be there and are left out.
package canary
