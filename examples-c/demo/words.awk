# What words.py does, in short, where there is no Python.
{
    gsub(/[^A-Za-z]+/, " ")
    for (i = 1; i <= NF; i++) if (length($i) > 3) { count[tolower($i)]++; words++ }
}
END {
    printf "%d words; the most frequent:\n", words
    for (n = 0; n < 5; n++) {
        best = ""
        for (word in count) if (best == "" || count[word] > count[best]) best = word
        if (best == "") break
        printf "  %5d %s\n", count[best], best
        delete count[best]
    }
}
