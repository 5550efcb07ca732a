// Package canary contains only tests. They play the lives of secrets with the
// real program, make every kind of step fail, and then search everything Rota
// wrote for every secret value that ever existed. Values that rota get shows
// and that targets hold are meant to be there and are excluded.
package canary
