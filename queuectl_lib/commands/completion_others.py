r"""Completion for fish and PowerShell: the text of the scripts, and what stands in it of each command.

As in completion_posix each is an engine that walks over the words typed so far, and a table that the engine reads.
"""

from __future__ import annotations

from queuectl_lib.commands import completion_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

FISH = r"""# Completion of @NAME@ for fish: made by `queuectl.py completion fish`, to be read by ~/.config/fish/conf.d.
function @NAME@
    @CALL@ $argv
end

# The table: lines of an option, what its value can be and what it is for; of the words of a command, by its words.
function __@FUNC@_facts
    switch $argv[1]
@FACTS@
        case '*'
            return 1
    end
end

function __@FUNC@_kind # of the option $argv[1]; the rest are lines of the table
    for line in $argv[2..-1]
        set -l parts (string split \t -- $line)
        if test "$parts[1]" = "$argv[1]"
            echo -- $parts[2]
            return
        end
    end
end

function __@FUNC@_complete
    set -l tokens (commandline -opc)
    set -l cur (commandline -ct)
    set -l facts (__@FUNC@_facts '')
    set -l command ''
    set -l takes ''
    set -l home
    set -l behind ''
    set -l n 0
    for one in $tokens[2..-1]
        if test -n "$behind"
            set behind (math $behind + 1)
        else if test -n "$takes"
            test "$takes" = --home; and set home --home $one
            set takes ''
        else if test "x$one" = x--
            set behind 1
        else if string match -q -- '--*=*' $one
            string match -q -- '--home=*' $one; and set home $one
        else if string match -q -- '-*' $one
            set -l valued (__@FUNC@_kind $one $facts)
            test -n "$valued"; and set takes $one
        else
            set -l longer (string trim -- "$command $one")
            if test $n = 0; and __@FUNC@_facts $longer >/dev/null
                set command $longer
                set facts (__@FUNC@_facts $longer)
            else
                set n (math $n + 1)
            end
        end
    end
    set -l head ''
    set -l kind ''
    if test -n "$behind"
        if test $behind = 1
            complete -C "$cur"
        else
            __fish_complete_path $cur
        end
        return
    else if test -n "$takes"
        set kind (__@FUNC@_kind $takes $facts)
    else if string match -q -- '--*=*' $cur
        set -l parts (string split -m 1 = -- $cur)
        set kind (__@FUNC@_kind $parts[1] $facts)
        set head $parts[1]=
        set cur $parts[2]
    else if string match -q -- '-*' $cur
        for line in $facts
            set -l parts (string split \t -- $line)
            string match -q -- '-*' $parts[1]; and printf '%s\t%s\n' $parts[1] $parts[3]
        end
        return
    else
        set -l own (string match -r -- '^word\t.*' $facts)
        set -l inner (string match -r -- '^inner\t.*' $facts)
        if test $n = 0; and test (count $inner) -gt 0
            string replace -r '^inner\t' '' -- $inner
            return
        end
        set -l place (math $n + 1)
        if test $place -gt (count $own); and contains more $facts
            set place (count $own)
        end
        test $place -le (count $own); and set kind (string replace -r '^word\t' '' -- $own[$place])
    end
    set -l of (string replace -r '^[^:]*:' '' -- $kind)
    if string match -qr '^[,I]:' -- $kind; and string match -q '*,*' -- $cur
        set head $head(string replace -r '[^,]*$' '' -- $cur)
        set cur (string replace -r '.*,' '' -- $cur)
    end
    switch "$kind"
        case f
            __fish_complete_path $cur
        case d
            __fish_complete_directories $cur ''
        case 'i:*' 'I:*'
            for one in (@NAME@ $home _ids "$cur" $of 2>/dev/null </dev/null)
                echo $head$one
            end
        case '=:*' ',:*'
            for one in (string split , -- $of)
                echo $head$one
            end
    end
end

complete -c @NAME@ -e
complete -c @NAME@ -k -f -a '(__@FUNC@_complete)'
"""

POWERSHELL = r"""# Completion of @NAME@ for PowerShell: made by `completion powershell`, to be read by $PROFILE.
function global:@NAME@ { if ($MyInvocation.ExpectingInput) { $input | & @CALL@ @args } else { & @CALL@ @args } }

Register-ArgumentCompleter -Native -CommandName '@NAME@' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # The table: by the words of a command its options (with = and what their values can be), and what its words are.
    $table = @{
@FACTS@
    }
    $cur = "$wordToComplete"
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition -or
            ($cur -eq '' -and $_.Extent.EndOffset -le $cursorPosition) } |
        ForEach-Object { $_.Extent.Text.Trim("'", '"') })
    $row = $table['']; $command = ''; $takes = ''; $rest = @(); $n = 0
    function KindOf($option) {
        foreach ($one in $row.options) {
            if ($one.StartsWith("$option=")) { return $one.Substring($option.Length + 1) }
        }
        return ''
    }
    foreach ($one in $words) {
        $longer = "$command $one".Trim()
        if ($takes) { if ($takes -eq '--home') { $rest = @('--home', $one) }; $takes = '' }
        elseif ($one -eq '--') { return }
        elseif ($one -like '--*=*') { if ($one -like '--home=*') { $rest = @($one) } }
        elseif ($one -like '-*') { if (KindOf $one) { $takes = $one } }
        elseif ($n -eq 0 -and $table.ContainsKey($longer)) { $command = $longer; $row = $table[$longer] }
        else { $n++ }
    }
    $head = ''; $kind = ''; $found = @()
    if ($takes) { $kind = KindOf $takes }
    elseif ($cur -like '--*=*') {
        $kind = KindOf $cur.Split('=')[0]
        $head = $cur.Split('=')[0] + '='; $cur = $cur.Substring($head.Length)
    }
    elseif ($cur -like '-*') { $found = @($row.options | ForEach-Object { $_.Split('=')[0] }) }
    elseif ($n -lt $row.words.Count) { $kind = $row.words[$n] }
    elseif ($row.more) { $kind = $row.words[-1] }
    if ($kind -match '^[,I]:' -and $cur.Contains(',')) {
        $place = $cur.LastIndexOf(',') + 1
        $head += $cur.Substring(0, $place); $cur = $cur.Substring($place)
    }
    if ($kind -match '^[iI]:') { $found = @(@NAME@ @rest _ids "$cur" $kind.Substring(2) 2>$null) }
    elseif ($kind -match '^[=,]:') { $found = $kind.Substring(2).Split(',') }
    $found | Where-Object { $_ -and $_.StartsWith($cur) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new("$head$_", $_, 'ParameterValue', $_)
    }
}
"""


def fish_word(word: str) -> str:
    """*word* as fish reads it back."""
    return "'%s'" % word.replace("\\", "\\\\").replace("'", "\\'")


def powershell_word(word: str) -> str:
    """*word* as PowerShell reads it back, to which the quotes of typographers are quotes, too."""
    return "'%s'" % "".join(one * 2 if one in "'\u2018\u2019\u201a\u201b" else one for one in word)


def fish(name: str, call: str) -> str:
    """The script for fish, whose function *name* calls the words *call*."""
    lines: List[str] = []
    for row in completion_table.rows():
        told = ["\t".join(option) for option in row.options]
        told += ["word\t%s" % one for one in row.own] + ["inner\t%s\t%s" % pair for pair in row.inner]
        told += ["more"] * row.more
        lines.append("        case %s" % fish_word(row.words))
        lines.append("            printf '%%s\\n' %s" % " ".join(map(fish_word, told)))
    return filled(FISH, name, call, lines)


def powershell(name: str, call: str) -> str:
    """The script for PowerShell, the same."""
    lines = []
    for row in completion_table.rows():
        options = ", ".join(powershell_word(flag + "=" * bool(code) + code) for flag, code, _ in row.options)
        words = ", ".join(map(powershell_word, row.codes()))
        facts = "options = @(%s); words = @(%s); more = $%s" % (options, words, str(row.more).lower())
        lines.append("        %s = @{ %s }" % (powershell_word(row.words), facts))
    return filled(POWERSHELL, name, call, lines)


def filled(text: str, name: str, call: str, lines: List[str]) -> str:
    places = {"NAME": name, "FUNC": name.replace("-", "_"), "CALL": call, "FACTS": "\n".join(lines)}
    return completion_table.filled(text, places)
