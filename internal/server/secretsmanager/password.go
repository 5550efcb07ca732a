package secretsmanager

import (
	"context"

	"github.com/rota-dev/rota/internal/randompassword"
	"github.com/rota-dev/rota/internal/store/record"
)

type getRandomPasswordRequest struct{ randompassword.Request }

func (r *getRandomPasswordRequest) check() error {
	return firstError(checkRange("passwordLength", r.PasswordLength, 1, randompassword.MaxLength),
		checkLength("excludeCharacters", r.ExcludeCharacters, 0, randompassword.MaxLength))
}

type randomPassword struct{ RandomPassword string }

func getRandomPassword(_ context.Context, s *Server, _ *record.Guarded, in *getRandomPasswordRequest) (*randomPassword, error) {
	password, err := in.Generate(s.opts.Random)
	if err != nil {
		return nil, errInvalidParameter(err.Error())
	}
	return &randomPassword{password}, nil
}
