package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"redhen/appliance/words"
	"redhen/images/bundle"
)

// MaxUpload bounds an update file, in bytes.
const MaxUpload = 300 << 20

// Explain puts an error of Install into words: what happened, whether anything is
// lost, and the one thing to do.
func Explain(w *words.Words, err error) string {
	for _, row := range []struct {
		err  error
		code string // the text is "install.CODE"
	}{
		{bundle.ErrNoBundle, "no-file"},
		{bundle.ErrUnsigned, "unsigned"},
		{bundle.ErrSigner, "signer"},
		{bundle.ErrNewer, "newer"},
		{bundle.ErrDamaged, "damaged"},
		{ErrBoard, "board"},
		{ErrOlder, "older"},
		{ErrSame, "same"},
		{ErrLevel, "level"},
		{ErrOnTrial, "on-trial"},
		{ErrAddress, "address"},
		{ErrNotNow, "not-now"},
		{ErrBusy, "busy"},
		{context.Canceled, "stopped"},
	} {
		if errors.Is(err, row.err) {
			return w.Say("install." + row.code)
		}
	}
	return w.Say("install.failed")
}

// Door takes an update by PUT from whoever allowed lets through, says in a sentence
// what came of it, and the box restarts.
func (u *Updater) Door(allowed func(http.ResponseWriter, *http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if !allowed(w, r) {
			return
		}
		if r.Method != http.MethodPut {
			w.Header().Set("Allow", http.MethodPut)
			w.WriteHeader(http.StatusMethodNotAllowed)
			io.WriteString(w, "An update is sent with PUT. Nothing was changed.\n")
			return
		}
		fresh, err := u.Install(r.Context(), http.MaxBytesReader(w, r.Body, MaxUpload))
		if err != nil {
			u.cfg.Log.Warn("update refused", "err", err)
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprintln(w, Explain(nil, err))
			return
		}
		fmt.Fprintf(w, "Release %s is installed. The box restarts now; if the release does not do well within five minutes, it goes back to the old one by itself. Nothing is lost either way.\n",
			fresh.Release)
	})
}
