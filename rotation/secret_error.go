package rotation

// SecretError is what went wrong with one secret. Whoever shows the name
// separately takes Err instead of the whole text.
type SecretError struct {
	Secret string
	Err    error
}

// Error returns the secret's name and what went wrong.
func (e *SecretError) Error() string { return e.Secret + ": " + e.Err.Error() }

func (e *SecretError) Unwrap() error { return e.Err }
