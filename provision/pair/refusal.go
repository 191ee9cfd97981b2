package pair

import (
	"errors"

	"redhen/provision/roster"
)

// Code says why a box was not let in. Its numbers are sent and never change.
type Code uint8

const (
	Garbage     Code = 1  // what came makes no sense
	Unknown     Code = 2  // the inviter never made this ticket, or has forgotten it
	Expired     Code = 3  // too late
	Used        Code = 4  // another box came with it
	Revoked     Code = 5  // taken back
	Burnt       Code = 6  // too many wrong proofs
	WrongCircle Code = 7  // made for a circle that the inviter is no longer in
	InCircle    Code = 8  // the box is in a circle already
	Rejected    Code = 9  // the inviter said no
	WrongProof  Code = 10 // not the secret
	NameTaken   Code = 11 // the box, house or account must be called differently
	BadName     Code = 12
	Full        Code = 13
	Barred      Code = 14 // marked as stolen
	Busy        Code = 15 // too many at once
	BadKeeper   Code = 16 // the keeper and the key do not belong together
)

// Refusal is an error that a person can read. What it says is final for this
// ticket and application. Nothing was changed on either side, but that a wrong proof
// is counted.
type Refusal struct {
	Code Code
}

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Sentence() }

// Sentence says to a person what happened and the one thing to do.
func (r *Refusal) Sentence() string {
	switch r.Code {
	case Unknown:
		return "The inviting box does not know this invite. Nothing was changed. Ask your friend for a new one."
	case Expired:
		return "This invite is too old. Nothing was changed. Ask your friend for a new one."
	case Used:
		return "Another box has already joined with this invite. Nothing was changed. Ask your friend for a new one."
	case Revoked:
		return "Your friend has taken this invite back. Nothing was changed. Ask for a new one."
	case Burnt:
		return "This invite was tried wrongly too often and no longer works. Ask your friend for a new one."
	case WrongCircle:
		return "This invite is for a circle that your friend's box is no longer part of. Nothing was changed. Ask for a new one."
	case InCircle:
		return "This box is already in a circle. Nothing was changed. It has to leave that one first."
	case Rejected:
		return "Your friend said no. Nothing was changed. If that was a mistake, ask for a new invite."
	case WrongProof:
		return "The invite does not match. Scan or type it again."
	case NameTaken:
		return "The circle already has a box or house of that name, or a person with that login. Nothing was changed. Choose another one and try again."
	case BadName:
		return "That name cannot be used. Nothing was changed. Choose one of 1 to 64 letters, digits or signs."
	case Full:
		return "The circle is full. Nothing was changed."
	case Barred:
		return "This box was reported as stolen and cannot join the circle. Nothing was changed."
	case Busy:
		return "Too many boxes are asking at once. Nothing was changed. Try again in a minute."
	case BadKeeper:
		return "The keeper's key does not belong to that account of the circle. Nothing was changed. Log in to it and try again."
	}
	return "The two boxes did not understand each other. Nothing was changed. Bring both up to date and try again."
}

// refused returns the refusal in err, nil when it is another error.
func refused(err error) *Refusal {
	r, _ := errors.AsType[*Refusal](err)
	return r
}

// refusalOf translates what the roster says about an admission.
func refusalOf(err error) *Refusal {
	for _, m := range []struct {
		err  error
		code Code
	}{
		{roster.ErrNameTaken, NameTaken},
		{roster.ErrName, BadName},
		{roster.ErrFull, Full},
		{roster.ErrStolen, Barred},
		{roster.ErrMember, InCircle},
		{roster.ErrCircle, WrongCircle},
		{roster.ErrKeeper, BadKeeper},
	} {
		if errors.Is(err, m.err) {
			return &Refusal{m.code}
		}
	}
	return &Refusal{Garbage}
}
