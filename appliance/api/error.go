package api

import (
	"context"
	"errors"
	"net/http"

	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/appliance/home"
	"redhen/appliance/space"
	"redhen/provision/pair"
)

// Error is what a person reads when something did not work. The codes never change.
type Error struct {
	Code string `json:"code"`
	// Sentence says what happened, whether anything is lost, and the one thing to do.
	Sentence string `json:"sentence"`
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Sentence }

// Codes of this package; those of package circle stand beside them.
const (
	CodeBadRequest = "bad-request"
	CodeNoBox      = "no-running-box"
	CodeFiles      = "files"
	CodeBroken     = "broken-off"
	CodeInside     = "inside"
)

// explain puts an error into words, with the HTTP status.
func explain(err error) (*Error, int) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e, http.StatusBadRequest
	}
	if r, ok := errors.AsType[*home.RefusedError](err); ok {
		err = &circle.RefusedError{Code: r.Code}
	}
	if errors.Is(err, home.ErrNotWaiting) {
		err = pair.ErrNotPending
	}
	if w, ok := home.Explain(err); ok {
		return &Error{w.Code, w.Sentence}, http.StatusConflict
	}
	if w, ok := circle.Explain(err); ok {
		return &Error{w.Code, w.Sentence}, http.StatusConflict
	}
	if w, ok := drill.Explain(err); ok {
		return &Error{w.Code, w.Sentence}, http.StatusConflict
	}
	if errors.Is(err, context.Canceled) {
		return &Error{CodeBroken, "The request was broken off. What it asked for may have been done or not: look before you try again."}, http.StatusServiceUnavailable
	}
	t := space.Explain(err)
	code := CodeFiles
	if t.Status == http.StatusInternalServerError {
		code = CodeInside
	}
	return &Error{code, t.String()}, t.Status
}
