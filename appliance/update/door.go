package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"redhen/images/bundle"
)

// MaxUpload bounds an update file, in bytes.
const MaxUpload = 300 << 20

// Explain puts an error of Install into words: what happened, whether anything is
// lost, and the one thing to do.
func Explain(err error) string {
	const kept = " Nothing was changed, and the box goes on as before. "
	switch {
	case errors.Is(err, bundle.ErrNoBundle):
		return "This is no update file." + kept + "Choose the file whose name ends in .update."
	case errors.Is(err, bundle.ErrUnsigned):
		return "This update is not signed, so nobody vouches for it." + kept + "Get the file from where redhen's releases are."
	case errors.Is(err, bundle.ErrSigner):
		return "This update is signed by somebody whom this box does not know, or it was changed on its way." + kept + "Get the file from where redhen's releases are."
	case errors.Is(err, bundle.ErrNewer):
		return "This update is in a form that this box does not know yet." + kept + "Install the release before it first."
	case errors.Is(err, bundle.ErrDamaged):
		return "This update did not arrive whole." + kept + "Send it again."
	case errors.Is(err, ErrBoard):
		return "This update is for another kind of box." + kept + "Choose the file that is named for this kind."
	case errors.Is(err, ErrOlder):
		return "This update is older than what the box runs." + kept + "Nothing needs to be done."
	case errors.Is(err, ErrSame):
		return "The box runs this release already." + kept + "Nothing needs to be done."
	case errors.Is(err, ErrLevel):
		return "This update is too old for what the circle keeps by now." + kept + "Choose a newer one."
	case errors.Is(err, ErrOnTrial):
		return "The box has just been updated and is still making sure that all is well." + kept + "Try again in ten minutes."
	case errors.Is(err, ErrAddress):
		return "No update came from that address." + kept + "See whether the box has internet, and whether the address is right."
	case errors.Is(err, ErrNotNow):
		return "Another box of the circle is being updated just now, and never are two at once." + kept + "Try again in half an hour."
	case errors.Is(err, ErrBusy):
		return "Another update is being installed." + kept + "Wait until the box has restarted."
	case errors.Is(err, context.Canceled):
		return "The update was broken off." + kept + "Send it again."
	}
	return fmt.Sprintf("The update could not be installed (%v). The box goes on as before, and nothing is lost. Try again; if that does not help, the card may be worn out.", err)
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
			fmt.Fprintln(w, Explain(err))
			return
		}
		fmt.Fprintf(w, "Release %s is installed. The box restarts now; if the release does not do well within five minutes, it goes back to the old one by itself. Nothing is lost either way.\n",
			fresh.Release)
	})
}
