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
	CodeLogWaits       Code = "log-damaged-alone"
	CodeLogSalvaged    Code = "log-salvaged"
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
	CodeSameHouse      Code = "same-house"
	CodeStolen         Code = "box-stolen"

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

// table holds every fault that redhen knows. Of the same weight, the first counts most.
func table() []row {
	return slices.Concat(dangers(), machineDangers(), cares(), publicCares(), machineCares(), notes(), machineNotes())
}

func dangers() []row {
	return []row{
		{code: CodeGivenUp, weight: Danger, find: findGivenUp},
		{code: CodeParted, weight: Danger, find: findParted(false)},
		{code: CodeBytesMissing, weight: Danger, find: findBytesMissing},
		{code: CodeDiskFull, weight: Danger, find: findDisk(true)},
		{code: CodeAlone, weight: Danger, find: findAlone},
		{code: CodeApart, weight: Danger, find: findApart},
	}
}

func cares() []row {
	return []row{
		{code: CodePicked, weight: Care, find: findParted(true)},
		{code: CodeReturned, weight: Care, find: findReturned},
		{code: CodeJournalDamaged, weight: Care, find: findTroubles(isJournalDamaged)},
		{code: CodeListRotten, weight: Care, find: findTroubles(isListRotten)},
		{code: CodeLogWaits, weight: Care, find: findLogLost(true)},
		{code: CodeLogDamaged, weight: Care, find: findLogLost(false)},
		{code: CodeLogSalvaged, weight: Care, find: findSalvaged},
		{code: CodeStoppedNewer, weight: Care, find: findStopped(isNewer)},
		{code: CodeStoppedDamaged, weight: Care, find: findStopped(isListDamaged)},
		{code: CodeStopped, weight: Care, find: findStopped(isOtherStop)},
		{code: CodeSilent, weight: Care, find: findSilent},
		{code: CodeHouseAway, weight: Care, find: findAway},
		{code: CodeOneHouse, weight: Care, find: findOneHouse},
		{code: CodeWaiting, weight: Care, find: findWaiting},
		{code: CodeGrowing, weight: Care, find: findGrowing},
		{code: CodeFresh, weight: Care, find: findFresh},
		{code: CodeUnheard, weight: Care, find: findUnheard},
		{code: CodePetition, weight: Care, find: findPetitions},
		{code: CodeDiskNearlyFull, weight: Care, find: findDisk(false)},
		{code: CodeClock, weight: Care, find: findClock},
		{code: CodeDrill, weight: Care, find: findDrill},
		{code: CodeTrouble, weight: Care, find: findTroubles(isOtherTrouble)},
	}
}

func notes() []row {
	return []row{
		{code: CodeStolen, weight: Note, find: findStolen},
		{code: CodeSameHouse, weight: Note, find: findSameHouse},
		{code: CodeFewHouses, weight: Note, find: findFewHouses},
		{code: CodeMended, weight: Note, find: findMended},
		{code: CodeListMended, weight: Note, find: findMendedLists},
		{code: CodeLogMended, weight: Note, find: findMendedLogs},
		{code: CodeUnchecked, weight: Note, find: findUnchecked},
		{code: CodeOutside, weight: Note, find: findOutside},
	}
}
