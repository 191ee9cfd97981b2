package circle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/words"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Words is a decision that was not taken, for a person: a code that never changes,
// and what happened, whether anything is lost, and the one thing to do.
type Words struct {
	Code string
	// Sentence is in English, for who types commands.
	Sentence string

	// Key is that of the text for pages, "said.KEY"; empty: the code. About fills it in.
	Key   string
	About []any
}

// Say returns the words for pages.
func (s Words) Say(w *words.Words) string {
	key := "said." + cmp.Or(s.Key, s.Code)
	if !w.Has(key) {
		return s.Sentence
	}
	return w.Say(key, s.About...)
}

const unchanged = " Nothing was changed. "

// Explain returns the words for an error of this package, false when it is none of
// them. All doors use it, so that the same trouble has the same words everywhere.
func Explain(err error) (Words, bool) {
	if r, ok := errors.AsType[*pair.Refusal](err); ok {
		code := refusalCode(r.Code)
		return Words{Code: code, Sentence: r.Sentence(), Key: "invite." + code}, true
	}
	if j, ok := errors.AsType[*JoinError](err); ok {
		return j.words(), true
	}
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return refusedWords(r.Code), true
	}
	if o, ok := errors.AsType[*OtherBoxError](err); ok {
		return o.words(), true
	}
	if s, ok := errors.AsType[*account.SlowError](err); ok {
		return Words{Code: "slow", About: []any{"wait", s.Wait.Round(time.Second)}, Sentence: fmt.Sprintf("There were too many wrong passwords.%sTry again in %s.", unchanged, s.Wait.Round(time.Second))}, true
	}
	for _, row := range table() {
		if errors.Is(err, row.err) {
			return Words{Code: row.code, Sentence: row.what + unchanged + row.do}, true
		}
	}
	if errors.Is(err, raftnode.ErrApart) || errors.Is(err, context.DeadlineExceeded) {
		return Words{Code: "apart", Sentence: "Too few houses are in reach to decide that. It may still come to pass when they are back; nothing is lost. Look again when one more house is in reach."}, true
	}
	return Words{}, false
}

type row struct {
	err            error
	code, what, do string
}

func table() []row {
	return []row{
		{ErrNoCircle, "no-circle", "This box is in no circle yet.", "Begin one with redhen found, or join one with redhen join."},
		{raftnode.ErrNoCircle, "no-circle", "This box is in no circle yet.", "Begin one with redhen found, or join one with redhen join."},
		{pair.ErrNoCircle, "no-circle", "This box is in no circle yet.", "Begin one with redhen found, or join one with redhen join."},
		{ErrInCircle, "in-circle", "This box is in a circle already.", "Use redhen status to see it."},
		{ErrNoAccount, "no-account", "The circle has no account of that name.", "Look at the names with redhen account list."},
		{account.ErrUnknown, "no-account", "The circle has no account of that name.", "Look at the names with redhen account list."},
		{ErrNoBox, "no-box", "The circle has no box of that name.", "Look at the names with redhen houses."},
		{ErrNoHouse, "no-house", "The circle has no house of that name.", "Look at the names with redhen houses."},
		{ErrNoGift, "no-gift", "This box was no gift, or its keeper has come already.", "Log in with your name and password."},
		{ErrOwnHouse, "own-house", "That is the house in which this box stands: it cannot give itself up.", "Name the house that is lost."},
		{raftnode.ErrNotLost, "not-lost", "That house answers: it is not lost.", "Wait a little if it has just gone dark; else there is nothing to do."},
		{raftnode.ErrEnoughLeft, "enough-left", "Enough houses are left to decide together, so nobody has to decide alone.", "Say that the box is gone, with redhen gone."},
		{ErrNotKeeper, "not-keeper", "That account has no say about this box.", "Ask another keeper, one who keeps a box of their own in this circle."},
		{account.ErrNotKeeper, "not-keeper", "That account keeps no box, or its right to sign was lost with a forgotten password.", "Ask another keeper."},
		{account.ErrWrong, "wrong-password", "That is not the password of that account.", "Try again with the right one."},
		{account.ErrBusy, "busy", "Too many passwords are being checked just now.", "Try again in a minute."},
		{account.ErrName, "bad-login", "A login name has 1 to 32 of a–z, 0–9, dot, dash and underscore, and begins and ends with a letter or digit.", "Choose such a name."},
		{account.ErrReserved, "bad-login", "That login name is needed for something else.", "Choose another name."},
		{account.ErrWeak, "weak-password", "A password needs 8 characters or more, and must not be one of the first that everybody tries.", "Choose a longer one."},
		{ticket.ErrNoTicket, "no-ticket", "That is not an invite.", "Copy the whole line or link that your friend's box shows."},
		{ticket.ErrIncomplete, "incomplete-ticket", "That invite is not complete.", "Copy the whole line or link again."},
		{ticket.ErrVersion, "newer-ticket", "That invite was made by a newer redhen.", "Bring this box up to date."},
		{pair.ErrNotPending, "not-waiting", "No such box is waiting to be let in.", "Look who waits with redhen invite --pending."},
		{pair.ErrNoTicket, "no-open-ticket", "There is no such open invite.", "Look at the open ones with redhen invite --pending."},
		{roster.ErrNameTaken, "name-taken", "The circle has a box or house of that name already.", "Choose another name."},
		{roster.ErrName, "bad-name", "A name of a circle, house or box has 1 to 64 letters, digits or signs, and no space at its ends.", "Choose such a name."},
		{roster.ErrReplacement, "bad-replacement", "A box can be replaced only by another box that is in the circle.", "Have the new box join first, then name it."},
		{ErrConfirm, "confirm", "That is not the name of the house where that box stands.", "Type the name of the house, as redhen houses shows it."},
		{ErrHoldsAlone, "holds-alone", "This box holds changes that no other house has, and could not bring them there.", "See that other houses are in reach, and wait until redhen status says that nothing is on its way."},
		{ErrNobodyTakes, "nobody-takes", "No other box may hold one of the spaces that this box has.", "Ask another keeper to give more room, or invite one more box; then try again."},
		{roster.ErrLast, "last-box", "The last box of a circle cannot be taken out of it.", "Have another box join first."},
	}
}

func refusedWords(code directory.Code) Words {
	what := map[directory.Code][2]string{
		directory.Invalid:   {"The circle cannot take that: a name or number is outside of its limits.", "Choose another one."},
		directory.Stranger:  {"This box is not, or no longer, in the circle.", "Ask a friend to invite it again."},
		directory.NotYours:  {"That is for another box or keeper to decide.", "Ask its keeper."},
		directory.Refused:   {"The circle does not accept that signature: somebody changed the same thing meanwhile, or the keeper has no say in it.", "Look at redhen houses, then try again."},
		directory.Changed:   {"Somebody changed that meanwhile.", "Look at it again, then try once more."},
		directory.Missing:   {"There is no such thing (any more).", "Look at the list again."},
		directory.Exists:    {"There is one of that name already.", "Choose another name."},
		directory.NameTaken: {"There is an account or space of that name already.", "Choose another name."},
		directory.Full:      {"The circle has as many of those as it can have.", "Remove one first."},
		directory.Keeps:     {"That account keeps a box of the circle.", "Have the box leave the circle first."},
		directory.Expired:   {"That invitation is too old, or was used already.", "Ask for a new one."},
	}
	w, ok := what[code]
	key := "refused." + string(code)
	if !ok {
		key, w = "refused.other", [2]string{"The circle refused that.", "Bring all boxes up to date, then try again."}
	}
	return Words{Code: string(code), Sentence: w[0] + unchanged + w[1], Key: key}
}

func refusalCode(c pair.Code) string {
	names := map[pair.Code]string{
		pair.Unknown: "unknown-ticket", pair.Expired: "expired", pair.Used: "used", pair.Revoked: "revoked",
		pair.Burnt: "burnt", pair.WrongCircle: "wrong-circle", pair.InCircle: "in-circle", pair.Rejected: "rejected",
		pair.WrongProof: "wrong-proof", pair.NameTaken: "name-taken", pair.BadName: "bad-name", pair.Full: "full",
		pair.Barred: "barred", pair.Busy: "busy", pair.BadKeeper: "bad-keeper",
	}
	if name, ok := names[c]; ok {
		return name
	}
	return "garbage"
}
