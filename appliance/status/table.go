package status

import "slices"

// The codes of all faults that redhen knows.
const (
	CodeAlone          Code = "alone"
	CodeApart          Code = "apart"
	CodeBytesMissing   Code = "bytes-missing"
	CodeStoppedNewer   Code = "stopped-newer"
	CodeStoppedDamaged Code = "stopped-damaged"
	CodeStopped        Code = "stopped"
	CodeLogDamaged     Code = "log-damaged"
	CodeDiskFull       Code = "disk-full"
	CodeHouseAway      Code = "house-away"
	CodeOneHouse       Code = "one-house"
	CodeWaiting        Code = "writes-waiting"
	CodeGrowing        Code = "copies-growing"
	CodeFresh          Code = "copies-fresh"
	CodeUnheard        Code = "not-known"
	CodePetition       Code = "gone-waits"
	CodeDiskNearlyFull Code = "disk-nearly-full"
	CodeClock          Code = "clock-wrong"
	CodeTrouble        Code = "housekeeping"
	CodeFewHouses      Code = "too-few-houses"
	CodeMended         Code = "mended"
	CodeListMended     Code = "list-mended"
	CodeLogMended      Code = "log-mended"
	CodeOutside        Code = "nobody-outside"
	CodeGivenUp        Code = "given-up"
	CodeReturned       Code = "box-is-back"
	CodeParted         Code = "two-sides"
	CodePicked         Code = "two-sides-picked"
	CodeListRotten     Code = "list-rotten"
	CodeJournalDamaged Code = "unsent-damaged"
	CodeUnchecked      Code = "not-checked"
	CodeDrill          Code = "drill-failed"
	CodeSilent         Code = "house-silent"

	// The machine that the box runs on.
	CodeDiskReadOnly Code = "disk-read-only"
	CodeDiskWorn     Code = "disk-worn"
	CodeDiskErrors   Code = "disk-faults"
	CodeHot          Code = "hot"
	CodePowerLow     Code = "power-low"
	CodePowerWasLow  Code = "power-was-low"
	CodeClockUnset   Code = "clock-unset"
	CodeBetterDisk   Code = "better-disk"
	CodeCard         Code = "card-settings"
	CodeWifi         Code = "wifi"
	CodeWifiWeak     Code = "wifi-weak"
)

const nothingLost = "Nothing is lost."

// table holds every fault that redhen knows. Of the same weight, the first counts most.
func table() []row {
	return slices.Concat(dangers(), machineDangers(), cares(), publicCares(), machineCares(), notes(), machineNotes())
}

func dangers() []row {
	return []row{{
		code: CodeGivenUp, weight: Danger, find: findGivenUp,
		what:  "The others took {box} for lost on {since}, and went on without it.",
		lost:  nothingLost + " What only this box has is kept here, and is not at another house yet.",
		heals: "As soon as one of them lets it in again, everything is brought together.",
		do:    "Call whoever looks after {at}: their box asks whether this one may come home.",
		help:  "Any friend in the circle.",
	}, {
		code: CodeParted, weight: Danger, find: findParted(false),
		what:  "Two houses each went on alone: {here} and {there}, since {since}.",
		lost:  nothingLost + " But what is written at one side does not come to the other.",
		heals: "Nothing by itself: somebody has to pick the side that goes on. What the other one wrote comes along, beside its rival where both changed the same.",
		do:    "Agree with whoever looks after {there}, then pick a house of the side that goes on: redhen takeover --keep \"{one}\".",
		help:  "The keepers of both sides; any of them may pick, at either box.",
	}, {
		code: CodeBytesMissing, weight: Danger, find: findBytesMissing,
		what:  "Parts of {spaces} are at no house that is in reach.",
		lost:  "Not as long as a house that is away has them.{away}",
		heals: "As soon as a house that has them is back, they are copied from there.",
		do:    "Bring the houses that are away back, or open an older version of the file.",
		help:  "The keepers of the houses that are away.",
	}, {
		code: CodeDiskFull, weight: Danger, find: findDisk(true),
		what:  "The disk of {box} is full: {free} of {total} are left.",
		lost:  nothingLost + " New files cannot be kept here until there is room.",
		heals: "Removed files make room after 30 days.",
		do:    "Remove what nobody needs, or give {box} a larger disk.",
		help:  "{keeper}.",
	}, {
		code: CodeAlone, weight: Danger, find: findAlone,
		what:  "No other house is in reach from {house}.",
		lost:  nothingLost + " But what is written now is in this house only, until another one is back.",
		heals: "When a house is back, both tell each other what is new.",
		do:    "See whether the internet works in this house; else wait for the others.",
		help:  "Whoever looks after the internet here; the keepers of the other houses.",
	}, {
		code: CodeApart, weight: Danger, find: findApart,
		what:  "Too few houses are in reach to settle what is written to {spaces}.",
		lost:  nothingLost + " New writes are kept in one house; others may be working without us.",
		heals: "When enough houses are back, everything is brought together; nobody's work is dropped.",
		do:    "Carry on. If a house is gone for good, say so under “Circle”.",
		help:  "The keepers of the houses that are away{away}.",
	}}
}

func cares() []row {
	return []row{{
		code: CodePicked, weight: Care, find: findParted(true),
		what:  "{here} and {there} each went on alone, and {picked} was picked to go on for both.",
		lost:  nothingLost + " What the other side wrote comes along.",
		heals: "As soon as both are in reach of each other, the other side comes home. Its box begins anew, which takes a moment.",
		do:    "Leave both boxes on.",
		help:  "The keepers of both sides.",
	}, {
		code: CodeReturned, weight: Care, find: findReturned,
		what:  "{box} at {house}, which was taken for lost, is back since {since} with all it has.",
		lost:  nothingLost + " What it alone had comes along.",
		heals: "Nothing by itself: somebody here has to let it in.",
		do:    "If {box} was never in strange hands, let it come home: redhen invite --approve \"{box}\".",
		help:  "The keeper of this box.",
	}, {
		code: CodeJournalDamaged, weight: Care, find: findTroubles(isJournalDamaged),
		what:  "The disk of {box} at {house} damaged its note of what was written there to {spaces} and not yet sent to other houses.",
		lost:  "Nothing that another house has too. What was written at {house} alone may be; the note is kept aside.",
		heals: "{box} takes part as before; its room is not tidied up meanwhile.",
		do:    "Look whether the last changes made at {house} are there, and write again what is not; then remove the note kept aside from the folder “journal”.",
		help:  "{keeper}.",
	}, {
		code: CodeListRotten, weight: Care, find: findTroubles(isListRotten),
		what:  "The list of {spaces} has gone bad on the disk of {box}, and no other house that has it is in reach.",
		lost:  nothingLost + " {box} uses the list as far as it can be read.",
		heals: "It is fetched again at the next check after another house is back.",
		do:    "Bring another house back, then run redhen scrub at {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeLogDamaged, weight: Care, find: findStopped(isLogLost),
		what:  "The disk of {box} at {house} damaged what the box had noted last.",
		lost:  "Nothing that another house has too. What was written at {house} alone in the last moments may be.",
		heals: "{box} takes part again by itself as soon as it has heard from the others; they carry on meanwhile.",
		do:    "Nothing: wait. If this comes back, replace the card or disk of {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeStoppedNewer, weight: Care, find: findStopped(isNewer),
		what:  "{box} at {house} has stopped keeping {spaces}: the other boxes are newer, and it does not understand them.",
		lost:  nothingLost + " The other houses carry on.",
		heals: "Nothing by itself, until the box is updated.",
		do:    "Update {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeStoppedDamaged, weight: Care, find: findStopped(isListDamaged),
		what:  "{box} at {house} found damage in its list of {spaces}, and does not use that list.",
		lost:  "Nothing that another house has too.",
		heals: "It fetches the list from another house as soon as one that has it is in reach; the others carry on meanwhile.",
		do:    "Nothing: wait. If this comes back, replace the card or disk of {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeStopped, weight: Care, find: findStopped(isOtherStop),
		what:  "{box} at {house} has stopped keeping {spaces}, because of a fault inside it.",
		lost:  "Nothing that another house has too.",
		heals: "The other houses carry on.",
		do:    "Start {box} again; if this comes back, replace its card or disk.",
		help:  "{keeper}.",
	}, {
		code: CodeSilent, weight: Care, find: findSilent,
		what:  "{house} has been silent for {days}. Perhaps {boxes} is gone for good.",
		lost:  nothingLost + " What {house} alone had is on its box there.",
		heals: "When it is back, it catches up by itself. When it is gone, nothing does before you say so.",
		do:    "Ask whoever lives there. If it is gone for good, say so under “Circle”, or with redhen gone {box}; a new box takes its place with redhen replace {box} NEW.",
		help:  "Another keeper must say so, too, when the circle has three or more.",
	}, {
		code: CodeHouseAway, weight: Care, find: findAway,
		what:  "{house} has not been in reach since {since}.",
		lost:  nothingLost + " What {house} alone had is on its box there.",
		heals: "When it is back, it catches up by itself.",
		do:    "If power or internet is off there, wait. If the box is gone for good, say so under “Circle”.",
		help:  "{keepers}.",
	}, {
		code: CodeOneHouse, weight: Care, find: findOneHouse,
		what:  "Everything is in one house only: {house}.",
		lost:  nothingLost + " But a fire there would take everything.",
		heals: "Nothing by itself.",
		do:    "Invite a friend's box.",
		help:  "A friend or relative with a little room beside their router.",
	}, {
		code: CodeWaiting, weight: Care, find: findWaiting,
		what:  "{changes} to {spaces} kept in one house and on the way to others.",
		lost:  nothingLost,
		heals: "They go to the other houses as soon as these are in reach.",
		do:    "Nothing: wait.",
		help:  "Nobody needs to.",
	}, {
		code: CodeGrowing, weight: Care, find: findGrowing,
		what:  "Copies of {spaces} are still being made{where}.",
		lost:  nothingLost,
		heals: "This goes on by itself, also while you use your files.",
		do:    "Nothing: leave the boxes switched on.",
		help:  "Nobody needs to.",
	}, {
		code: CodeFresh, weight: Care, find: findFresh,
		what:  "Fresh copies of {spaces} do not count fully yet.",
		lost:  nothingLost + " But a fire where an older copy stands would hold everybody up for longer.",
		heals: "They count after some minutes of steady contact.",
		do:    "Nothing: leave the boxes switched on.",
		help:  "Nobody needs to.",
	}, {
		code: CodeUnheard, weight: Care, find: findUnheard,
		what:  "No box in reach could say just now how {spaces} are kept.",
		lost:  "Nothing that we know of.",
		heals: "The boxes ask each other again by themselves.",
		do:    "Look again in a minute.",
		help:  "The keeper of this box, if it stays so.",
	}, {
		code: CodePetition, weight: Care, find: findPetitions,
		what:  "It was said on {since} that {box} is gone for good{replacement}. {needs} must say so too.",
		lost:  nothingLost,
		heals: "Nothing by itself: this needs a person.",
		do:    "Ask another keeper to confirm it.",
		help:  "Any other keeper of the circle.",
	}, {
		code: CodeDiskNearlyFull, weight: Care, find: findDisk(false),
		what:  "The disk of {box} is nearly full: {free} of {total} are left.",
		lost:  nothingLost,
		heals: "Removed files make room after 30 days.",
		do:    "Remove what nobody needs, or give {box} a larger disk.",
		help:  "{keeper}.",
	}, {
		code: CodeClock, weight: Care, find: findClock,
		what:  "The clocks of {box} and {others} differ by {by}.",
		lost:  nothingLost + " But dates of files may be wrong.",
		heals: "A box sets its clock by the internet within minutes.",
		do:    "If it stays so, see that {box} has internet, and start it again.",
		help:  "{keeper}.",
	}, {
		code: CodeDrill, weight: Care, find: findDrill,
		what:  "In the last fire drill, {when}, not everything went well while {house} played dead.",
		lost:  nothingLost,
		heals: "Nothing by itself: a drill shows what a fire would.",
		do:    "Look at what went wrong with redhen drill --last, mend it, and run the drill again.",
		help:  "{by}, who began the drill.",
	}, {
		code: CodeTrouble, weight: Care, find: findTroubles(isOtherTrouble),
		what:  "{box} at {house} has trouble looking after its copy of {spaces}.",
		lost:  "Nothing that we know of.",
		heals: "It tries again by itself.",
		do:    "If it stays so for a day, start {box} again.",
		help:  "{keeper}.",
	}}
}

func notes() []row {
	return []row{{
		code: CodeFewHouses, weight: Note, find: findFewHouses,
		what:  "{copies} copies are wanted, and the circle has {houses} houses.",
		lost:  nothingLost + " Each house has a copy, or is getting one.",
		heals: "As soon as another house joins, it gets a copy.",
		do:    "Invite one more friend's box when you can.",
		help:  "A friend or relative with a little room beside their router.",
	}, {
		code: CodeMended, weight: Note, find: findMended,
		what:  "{pieces} of {spaces} had gone bad on the disk of {box}, and {were} fetched again from another house.",
		lost:  nothingLost,
		heals: "It is mended already.",
		do:    "If this comes back often, replace the card or disk of {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeListMended, weight: Note, find: findMendedLists,
		what:  "The list of {spaces} had gone bad on the disk of {box}, and was fetched again from another house.",
		lost:  nothingLost,
		heals: "It is mended already.",
		do:    "If this comes back often, replace the card or disk of {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeLogMended, weight: Note, find: findMendedLogs,
		what:  "What {box} had noted last had gone bad on its disk, and was replaced by what the other houses have.",
		lost:  nothingLost,
		heals: "It is mended already.",
		do:    "If this comes back often, replace the card or disk of {box}.",
		help:  "{keeper}.",
	}, {
		code: CodeUnchecked, weight: Note, find: findUnchecked,
		what:  "{box} at {house} has not read everything again that it keeps for {for}, to see whether it is still good.",
		lost:  "Nothing that we know of.",
		heals: "It goes on with that whenever people let its disk alone.",
		do:    "Leave {box} switched on, or run redhen scrub there.",
		help:  "{keeper}.",
	}, {
		code: CodeOutside, weight: Note, find: findOutside,
		what:  "None of the houses in reach can be called from the internet, so {away} may not find the way back.",
		lost:  nothingLost,
		heals: "The boxes go on trying every way they know.",
		do:    "In one house, let the router pass the box's port through, or switch on “UPnP” there.",
		help:  "Whoever set up the router in one of the houses.",
	}}
}
