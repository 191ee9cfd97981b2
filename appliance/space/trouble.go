package space

import (
	"context"
	"errors"
	"net/http"
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

const nothingChanged = "Nothing was changed or lost."

// Explain returns the words for err. Every door uses it, so that the same trouble
// has the same words everywhere.
func Explain(err error) Trouble {
	for _, e := range troubles() {
		if errors.Is(err, e.err) {
			return e.trouble
		}
	}
	return Trouble{http.StatusInternalServerError, "Something went wrong inside this box.",
		"What was here before is untouched.", "Try again; if it stays so, tell the keeper of this box."}
}

// trouble is one row of the table.
type trouble struct {
	err     error
	trouble Trouble
}

// troubles is the table, the first match counts.
func troubles() []trouble {
	return []trouble{
		{ErrNotFound, Trouble{http.StatusNotFound, "There is nothing of that name here.", nothingChanged,
			"It may have been moved or removed: look into the folder, or among the removed files."}},
		{ErrNoParent, Trouble{http.StatusConflict, "The folder that this should go into does not exist.", nothingChanged,
			"Make the folder first."}},
		{ErrExists, Trouble{http.StatusConflict, "Something of that name is here already.", nothingChanged,
			"Choose another name, or remove the one that is there."}},
		{ErrPrecondition, Trouble{http.StatusPreconditionFailed, "The file was changed by someone else in the meantime.",
			"Their version and the older ones are kept; yours did not take their place.", "Look at the newest version, then save yours again."}},
		{ErrLocked, Trouble{http.StatusLocked, "Another program is working on this and has locked it.", nothingChanged,
			"Close it there, or wait until the lock ends by itself."}},
		{ErrNoLock, Trouble{http.StatusConflict, "That lock does not exist any more.", nothingChanged, "Lock the file again."}},
		{ErrFull, Trouble{http.StatusInsufficientStorage, "There is no room left for this.", nothingChanged,
			"Remove something, or ask a keeper to give more room."}},
		{ErrNeedsHouse, Trouble{http.StatusServiceUnavailable, "No second house is in reach, and this was to be kept in two.",
			"It does not count as stored, though it may still appear; nothing else was changed.", "Try again when another house is in reach, or store it in one house for now."}},
		{ErrUnreachable, Trouble{http.StatusServiceUnavailable, "No house that keeps these files is in reach.", nothingChanged,
			"Try again in a minute; the status page says which houses are in reach."}},
		{ErrOwed, Trouble{http.StatusServiceUnavailable, "The house that has these bytes is not in reach.",
			"They are not lost as long as that house has them.", "Try again when it is back, or open the version before."}},
		{ErrNotDirectory, Trouble{http.StatusConflict, "A file stands where a folder was meant.", nothingChanged,
			"Choose another place."}},
		{ErrIsDirectory, Trouble{http.StatusMethodNotAllowed, "That is a folder, not a file.", nothingChanged,
			"Choose another name."}},
		{ErrCycle, Trouble{http.StatusConflict, "A folder cannot be put into itself.", nothingChanged, "Choose another place."}},
		{ErrBadName, Trouble{http.StatusBadRequest, "No file can have that name here.", nothingChanged,
			"Use a shorter name without control characters and without “/”."}},
		{ErrTooMany, Trouble{http.StatusInsufficientStorage, "That is more at once than this box takes.", nothingChanged,
			"Do it in smaller parts."}},
		{ErrCut, Trouble{http.StatusBadRequest, "The file arrived only in part.", nothingChanged, "Send it again."}},
		{ErrReadOnly, Trouble{http.StatusForbidden, "You may read these files, but not change them.", nothingChanged,
			"Ask the person whose space this is."}},
		{context.DeadlineExceeded, Trouble{http.StatusServiceUnavailable, "The other houses took too long to answer.",
			"Whether this was stored is not known yet; nothing else was changed.", "Look at the folder, then try again."}},
		{context.Canceled, Trouble{http.StatusServiceUnavailable, "The request was broken off.",
			"Whether this was stored is not known; nothing else was changed.", "Look at the folder, then try again."}},
	}
}
