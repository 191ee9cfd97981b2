package space

import (
	"context"
	"errors"
	"net/http"

	"redhen/appliance/words"
)

// What can be wrong with a request. Errors of this package match one of these, or
// are faults of this box.
var (
	// ErrNotFound: nothing has that name.
	ErrNotFound = errors.New("not found")
	// ErrNoParent: the directory that something should go into does not exist.
	ErrNoParent = errors.New("no such directory to put it into")
	// ErrExists: something has that name already.
	ErrExists = errors.New("exists already")
	// ErrPrecondition: it is not the version that the caller named.
	ErrPrecondition = errors.New("changed meanwhile")
	// ErrLocked: another program holds a lock on it.
	ErrLocked = errors.New("locked")
	// ErrNoLock: there is no such lock, or no longer.
	ErrNoLock = errors.New("no such lock")
	// ErrFull: no room is left.
	ErrFull = errors.New("no room left")
	// ErrNeedsHouse: the caller insisted on more houses than are in reach.
	ErrNeedsHouse = errors.New("needs one more house")
	// ErrUnreachable: no box that holds the space answers.
	ErrUnreachable = errors.New("no copy in reach")
	// ErrOwed: the bytes of this version are at no box in reach.
	ErrOwed = errors.New("bytes not in reach")
	// ErrNotDirectory: a file stands where a directory was meant.
	ErrNotDirectory = errors.New("not a directory")
	// ErrIsDirectory: a directory stands where a file was meant.
	ErrIsDirectory = errors.New("is a directory")
	// ErrCycle: a directory cannot go into itself.
	ErrCycle = errors.New("would be inside itself")
	// ErrBadName: no file can have that name.
	ErrBadName = errors.New("not a possible name")
	// ErrTooMany: more than one request, file or space may hold.
	ErrTooMany = errors.New("too many")
	// ErrCut: the bytes ended before their announced length.
	ErrCut = errors.New("upload cut short")
	// ErrReadOnly: the account may read here and not write.
	ErrReadOnly = errors.New("read only")
)

// Trouble is an error in the words of a person.
type Trouble struct {
	// Status is the HTTP status.
	Status int
	// What happened, what of it is Lost, and the one thing to Do: a sentence each.
	What, Lost, Do string
}

// String returns the three sentences as one line.
func (t Trouble) String() string { return t.What + " " + t.Lost + " " + t.Do }

// Explain returns the words for err in English. Every door uses it, so that the same
// trouble has the same words everywhere.
func Explain(err error) Trouble { return ExplainIn(words.English(), err) }

// ExplainIn returns the words for err in a language.
func ExplainIn(w *words.Words, err error) Trouble {
	for _, e := range troubles() {
		if errors.Is(err, e.err) {
			return said(w, e.status, e.code)
		}
	}
	return said(w, http.StatusInternalServerError, "inside")
}

func said(w *words.Words, status int, code string) Trouble {
	key := "trouble." + code
	t := Trouble{Status: status, What: w.Say(key + ".what"), Lost: w.Say("trouble.unchanged"), Do: w.Say(key + ".do")}
	if w.Has(key + ".lost") {
		t.Lost = w.Say(key + ".lost")
	}
	return t
}

// trouble is one row of the table.
type trouble struct {
	err    error
	status int
	code   string
}

// troubles is the table, the first match counts. The texts are "trouble.CODE.what",
// ".lost" and ".do"; without a ".lost" nothing was changed.
func troubles() []trouble {
	return []trouble{
		{ErrNotFound, http.StatusNotFound, "missing"},
		{ErrNoParent, http.StatusConflict, "no-folder"},
		{ErrExists, http.StatusConflict, "exists"},
		{ErrPrecondition, http.StatusPreconditionFailed, "changed"},
		{ErrLocked, http.StatusLocked, "locked"},
		{ErrNoLock, http.StatusConflict, "no-lock"},
		{ErrFull, http.StatusInsufficientStorage, "full"},
		{ErrNeedsHouse, http.StatusServiceUnavailable, "needs-house"},
		{ErrUnreachable, http.StatusServiceUnavailable, "out-of-reach"},
		{ErrOwed, http.StatusServiceUnavailable, "owed"},
		{ErrNotDirectory, http.StatusConflict, "not-a-folder"},
		{ErrIsDirectory, http.StatusMethodNotAllowed, "a-folder"},
		{ErrCycle, http.StatusConflict, "into-itself"},
		{ErrBadName, http.StatusBadRequest, "bad-name"},
		{ErrTooMany, http.StatusInsufficientStorage, "too-many"},
		{ErrCut, http.StatusBadRequest, "cut"},
		{ErrReadOnly, http.StatusForbidden, "read-only"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "late"},
		{context.Canceled, http.StatusServiceUnavailable, "stopped"},
	}
}
