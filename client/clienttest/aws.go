package clienttest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
)

// askAWS is a request for AWS Secrets Manager, as its SDKs send it.
type askAWS struct {
	SecretID string `json:"SecretId"`
	Stage    string `json:"VersionStage"`
}

// arn is what an ARN has before a secret's name.
const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"

// serveAWS answers GetSecretValue and DescribeSecret.
func (s *Server) serveAWS(w http.ResponseWriter, r *http.Request) {
	var ask askAWS
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&ask); err != nil {
		refuseAWS(w, http.StatusBadRequest, "SerializationException", "the request isn't JSON")
		return
	}
	name := strings.TrimPrefix(ask.SecretID, arn)
	fetch := func(previous bool) (client.Value, error) {
		return s.Fetch(r.Context(), client.Request{Secret: name, Previous: previous})
	}
	switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation {
	case "GetSecretValue":
		v, err := fetch(ask.Stage == string(rota.LabelPrevious))
		if err != nil {
			failAWS(w, err)
			return
		}
		stage := string(rota.LabelCurrent)
		if ask.Stage != "" {
			stage = ask.Stage
		}
		answerAWS(w, http.StatusOK, map[string]any{"ARN": arn + name, "Name": name, "VersionId": v.Version(), "SecretString": v.Text(), "VersionStages": []string{stage}})
	case "DescribeSecret":
		v, err := fetch(false)
		if err != nil {
			failAWS(w, err)
			return
		}
		stages := map[string][]string{v.Version(): {string(rota.LabelCurrent)}}
		if before, err := fetch(true); err == nil {
			stages[before.Version()] = []string{string(rota.LabelPrevious)}
		}
		answerAWS(w, http.StatusOK, map[string]any{"ARN": arn + name, "Name": name, "VersionIdsToStages": stages})
	default:
		refuseAWS(w, http.StatusBadRequest, "UnknownOperationException", "clienttest has GetSecretValue and DescribeSecret")
	}
}

func failAWS(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, client.ErrNotFound):
		refuseAWS(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	case errors.Is(err, client.ErrDenied):
		refuseAWS(w, http.StatusBadRequest, "AccessDeniedException", "the caller isn't authorized to perform that")
	default:
		refuseAWS(w, http.StatusServiceUnavailable, "InternalServiceError", err.Error())
	}
}

func refuseAWS(w http.ResponseWriter, status int, code, message string) {
	answerAWS(w, status, map[string]any{"__type": code, "Message": message})
}

func answerAWS(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}
